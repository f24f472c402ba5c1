use tickwire::Replicate;

#[derive(Replicate)]
struct Inventory {
    items: [u8; 32],
    coins: u16,
}

#[derive(Replicate)]
struct Twice {
    a: [u8; 2],
    a_1: u8,
}

fn main() {}

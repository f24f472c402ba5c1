use tickwire::Replicate;

#[derive(Replicate)]
struct Player {
    #[replicate(owner_only = true)]
    ammo: u8,
    #[replicate(owner_only("red"))]
    coins: u8,
    #[replicate(owner_only, bits = 4, owner_only)]
    keys: u8,
    #[replicate(owner)]
    map: u8,
}

fn main() {}

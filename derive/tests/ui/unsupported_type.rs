use tickwire::Replicate;

#[derive(Replicate)]
struct Player<'a> {
    name: &'a str,
}

#[derive(Replicate)]
struct Ball {
    x: f64,
    id: u64,
    at: usize,
    name: String,
    pair: (f32, f32),
    maybe: Option<u8>,
    list: Vec<u8>,
    grid: [[u8; 2]; 2],
    long: [u8; 33],
    named: [u8; LENGTH],
}

const LENGTH: usize = 2;

fn main() {}

use tickwire::Replicate;

#[derive(Replicate)]
#[replicate(name = "ball")]
struct Ball {
    x: bool,
}

#[derive(Replicate)]
struct Cube {
    #[replicate(presicion = 0.1)]
    x: f32,
    #[replicate(bits = 8, bits = 9)]
    y: u16,
    #[replicate(blend = "cubic")]
    z: bool,
    #[replicate(moves = "around")]
    w: bool,
    #[replicate(group = "")]
    v: bool,
}

fn main() {}

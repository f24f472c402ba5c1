use tickwire::Replicate;

#[derive(Replicate)]
struct Ship {
    #[replicate(range = 0.0..=64.0, step = 0.5, velocity = "vx")]
    x: f32,
    #[replicate(range = 0.0..=64.0, step = 0.5, velocity = "heading")]
    y: f32,
    #[replicate(angle(bits = 8))]
    heading: f32,
    #[replicate(velocity = "fuel")]
    fuel: u16,
    #[replicate(velocity = "fuel")]
    docked: bool,
    #[replicate(velocity = "fuel")]
    cargo: [u16; 2],
    #[replicate(velocity = "drain")]
    charge: u16,
    #[replicate(owner_only)]
    drain: i8,
    #[replicate(velocity = "body")]
    hull: u8,
    #[replicate(flatten)]
    body: Body,
}

#[derive(Replicate)]
struct Body {
    #[replicate(unit_quaternion(bits = 9), velocity = "spin")]
    turn: [f32; 4],
    spin: i8,
    #[replicate(flatten, velocity = "spin")]
    rest: Rest,
    #[replicate(velocity = 3)]
    heat: u8,
    #[replicate(velocity_per = 30)]
    wear: u8,
}

#[derive(Replicate)]
struct Rest {
    x: u8,
}

fn main() {}

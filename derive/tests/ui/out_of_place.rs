use tickwire::Replicate;

#[derive(Replicate)]
struct Ball {
    #[replicate(bits = 8)]
    x: f32,
    #[replicate(range = 0.0..=1.0, step = 0.1)]
    y: u16,
    #[replicate(counter)]
    z: i32,
    #[replicate(bits = 1)]
    w: bool,
    #[replicate(flags, counter)]
    v: u8,
    #[replicate(bits = 3)]
    weapon: Weapon,
    #[replicate(flatten, name = "b")]
    body: Body,
    #[replicate(flatten)]
    number: u8,
    #[replicate(unit_quaternion(bits = 10))]
    rotation: [f32; 3],
    #[replicate(blend = "linear")]
    alive: bool,
    #[replicate(angle(bits = 10), blend = "linear")]
    yaw: f32,
    #[replicate(moves = "spinning")]
    ammo: u8,
}

struct Weapon;
struct Body;

fn main() {}

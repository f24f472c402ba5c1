use tickwire::Replicate;

#[derive(Replicate)]
struct Box {
    #[replicate(bits = 0)]
    none: u8,
    #[replicate(bits = 33)]
    many: u32,
    #[replicate(bits = 9)]
    narrow: i8,
    #[replicate(bits = 1.5)]
    odd: u8,
    #[replicate(angle(bits = 40))]
    yaw: f32,
    #[replicate(angle(bits = 17))]
    pitch: u16,
    #[replicate(angle)]
    roll: f32,
    #[replicate(flags, bits = 9)]
    flags: u8,
    #[replicate(unit_quaternion(bits = 3))]
    rotation: [f32; 4],
}

fn main() {}

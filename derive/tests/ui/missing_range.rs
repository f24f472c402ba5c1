use tickwire::Replicate;

#[derive(Replicate)]
struct Ball {
    x: f32,
    #[replicate(range = -1.0..=1.0)]
    y: f32,
    #[replicate(step = 0.01)]
    z: f32,
}

fn main() {}

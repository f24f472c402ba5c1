use tickwire::Replicate;

#[derive(Replicate)]
struct Ball {
    #[replicate(range = 1.0..=1.0, step = 0.01)]
    empty: f32,
    #[replicate(range = -1.0..=1.0, step = 0.0)]
    zero: f32,
    #[replicate(range = -1.0..=1.0, step = -0.5)]
    negative: f32,
    #[replicate(range = -1.0..=1.0, step = 5.0)]
    coarse: f32,
    #[replicate(range = 0.0..=1e9, step = 0.001)]
    wide: f32,
    #[replicate(range = 0.0..1.0, step = 0.001)]
    open: f32,
    #[replicate(range = 0..=1, step = 0.001)]
    whole: f32,
    #[replicate(steps(range = 0.0..=1000.0, step = 0.001))]
    steps: i16,
}

fn main() {}

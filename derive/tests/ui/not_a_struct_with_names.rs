use tickwire::Replicate;

#[derive(Replicate)]
struct Tuple(bool);

#[derive(Replicate)]
struct Unit;

#[derive(Replicate)]
struct Empty {}

#[derive(Replicate)]
union Both {
    x: u32,
    y: u32,
}

#[derive(Replicate)]
enum Choice {
    A,
    B,
}

#[derive(Replicate)]
struct Generic<T> {
    x: T,
}

fn main() {}

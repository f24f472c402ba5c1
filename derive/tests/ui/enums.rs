use tickwire::ReplicateEnum;

#[derive(ReplicateEnum)]
enum Data {
    Nothing,
    Something(u8),
}

#[derive(ReplicateEnum)]
enum Never {}

#[derive(ReplicateEnum)]
enum Named {
    A = FIRST,
}

#[derive(ReplicateEnum)]
enum Negative {
    A = -1,
}

#[derive(ReplicateEnum)]
enum Generic<T> {
    A(T),
}

#[derive(ReplicateEnum)]
struct Struct;

const FIRST: isize = 1;

fn main() {}

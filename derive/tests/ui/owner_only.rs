use tickwire::Replicate;

#[derive(Replicate)]
struct Player {
    #[replicate(owner_only)]
    ammo: u8,
}

fn main() {}

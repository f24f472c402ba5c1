//! The client in a game's own loop, sixty times a second: input, scene, and how the connection is.
//!
//! ```text
//! cargo run --release --example game_loop -- --seconds 8
//! cargo run --release --example game_loop -- --seconds 8 --token token.bin
//! ```
//!
//! `--token` names a file with the 2048 bytes of a connect token for a server that plays the arena. Without it the
//! example starts one of its own, which throws the player out at half time to show the way back in.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "driver")]

mod flags;

use std::time::{Duration, Instant};
use std::{error::Error, thread::sleep};

use flags::{Flags, fail, within};
use tickwire::client::ClientStats;
use tickwire::game::arena::{self, Arena, ArenaConfig, ArenaInput, PlayerView};
use tickwire::prelude::*;

const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse("[--seconds S] [--token FILE]");
    let seconds = flags.each("--seconds", "1 to 86400", |it| within(it, 1.0, 86_400.0));
    let end = Instant::now() + Duration::from_secs_f64(seconds.last().copied().unwrap_or(8.0));
    let files = flags.each("--token", "a file", |it| Some(it.to_owned()));
    if let Some(file) = files.last() {
        let bytes = std::fs::read(file).map_err(|error| error.to_string());
        let token = bytes.and_then(|it| ConnectToken::from_bytes(&it).map_err(|e| e.to_string()));
        let token = token.unwrap_or_else(|error| fail(1, &format!("--token {file}: {error}")));
        return play(token, end, |_| {});
    }

    let server = Server::bind(ServerConfig::local(9)?, Arena::new(ArenaConfig::default()))?;
    let server = server.start()?;
    let (control, half) = (
        server.control(),
        Instant::now() + (end - Instant::now()) / 2,
    );
    let mut kicked = false;
    while Instant::now() < end {
        // One token is for one session: whoever comes back brings a new one.
        let token = server.issue_token(ClientId(1))?;
        let session = play(token, end, |now| {
            kicked |= !kicked && now > half && control.kick(ClientId(1), "half time");
        });
        if let Err(why) = session {
            println!("-- {why}; coming back with a new token");
            sleep(Duration::from_millis(500)); // longer after each failure, in a real game
        }
    }
    server.shutdown("the example is over")?;
    Ok(())
}

/// The game loop: one session, until it ends (an error) or the time does.
fn play(
    token: ConnectToken,
    end: Instant,
    mut each_frame: impl FnMut(Instant),
) -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(ClientConfig::new(arena::schema()), token)?;
    let (start, mut frame) = (Instant::now(), 0);
    loop {
        client.update();
        while let Some(event) = client.poll_event() {
            match event {
                Event::Connected(welcome) => println!("-- connected, place {}", welcome.slot),
                Event::Warned { warning, .. } => println!("-- warning: {warning}"),
                Event::Disconnected { reason, text } => {
                    return Err(format!("the session is over: {reason} {text:?}").into());
                }
                _ => {} // the arena's messages: a welcome, deaths, voices
            }
        }
        // Input is by tick, not by frame: usually one is due, after a slow frame several.
        let mut held = ArenaInput::default();
        while let Some(tick) = client.input_due() {
            held = keys_at(tick);
            client.send_typed_input(&held)?;
        }
        if frame % 30 == 0 {
            draw(&mut client, &held);
        }
        each_frame(Instant::now());
        if Instant::now() >= end {
            client.disconnect(); // or the server waits for its timeout
            return Ok(());
        }
        frame += 1;
        sleep((start + FRAME * frame).saturating_duration_since(Instant::now()));
    }
}

/// What the player holds: a walk around the four sides of a square, trigger down on the third.
fn keys_at(tick: Tick) -> ArenaInput {
    let side = tick.0 / 60 % 4;
    let [move_x, move_y] = [[127, 0], [0, 127], [-127, 0], [0, -127]][side as usize];
    let aim = side as u16 * 1024;
    ArenaInput {
        move_x,
        move_y,
        aim,
        fire: side == 2,
        weapon: None,
    }
}

/// A line where a game would draw: the world between two snapshots, and how the connection is.
fn draw(client: &mut Client, held: &ArenaInput) {
    let stats = client.stats();
    let row = client.welcome().map(|it| it.slot.index as u16); // so the arena seats its players
    let scene = client.scene();
    let Some(drawn) = scene.entities().find(|it| Some(it.id.slot) == row) else {
        return println!("nothing to see yet");
    };
    let health = drawn.read::<PlayerView>().health;
    println!(
        "me ({:6.2}, {:6.2}) m, {health:3} health, {:2} things in sight, walking ({:4}, {:4}) | {}",
        drawn.values[0],
        drawn.values[1],
        scene.entities().len(),
        held.move_x,
        held.move_y,
        connection(&stats),
    );
}

/// What a corner of the screen shows. A snapshot that is old is noticed first: it says more than any average.
fn connection(stats: &ClientStats) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let age = stats.snapshot_age.unwrap_or_default();
    let word = match age.as_millis() {
        0..250 => "good",
        250..1_000 => "BAD CONNECTION",
        _ => "NO CONTACT WITH THE SERVER",
    };
    format!(
        "{word}: rtt {:.1} ms, jitter {:.1} ms, loss {:.0}%, newest snapshot {:.0} ms old",
        ms(stats.rtt.unwrap_or_default()),
        ms(stats.jitter),
        stats.loss * 100.0,
        ms(age),
    )
}

//! How many bytes and microseconds a snapshot takes, for one client and for a thousand.
//!
//! ```text
//! cargo bench --bench snapshot -- --data FILE [--entities N] [--age SNAPSHOTS] [--train FILE] [--json]
//! cargo bench --bench snapshot -- --data FILE --clients 1000 --baselines 8 [--visible 99] [--json]
//! ```
//!
//! Reads a recorded world and plays it through the product itself: frames, a client's view, its
//! replica. Every snapshot is decoded and compared with the world. Sizes are whole parts, header included;
//! times are medians in microseconds.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and says what it found"
)]

mod data;
mod play;
mod reference;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;
use tickwire::proto::snapshot::Tables;
use tickwire::proto::snapshot::train::Trainer;

use data::World;
use play::{Client, Desk, Stage};

/// Snapshots that are played and not counted: until then nobody has a whole history.
const SKIP: usize = 12;
/// Slots of a world of which each client sees a part.
const TILED: usize = 1998;
/// Of many clients so many decode what they are told.
const CHECKED: usize = 16;
/// The youngest of many baselines.
const YOUNGEST: usize = 3;

#[derive(Debug, Parser)]
#[command(about = "How many bytes and microseconds a snapshot takes")]
struct Options {
    /// The recorded world to measure.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// How many entities it has, if its name does not say.
    #[arg(long, value_name = "N")]
    entities: Option<usize>,
    /// How many snapshots ago the baseline is, 1 to 27.
    #[arg(long, value_name = "SNAPSHOTS", default_value_t = 6)]
    age: usize,
    /// Learn tables from this recorded world of the same kind; else the built-in ones serve.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Measure a snapshot for so many clients instead.
    #[arg(long, value_name = "N")]
    clients: Option<usize>,
    /// How many baselines the clients have, the youngest 3 snapshots old.
    #[arg(long, value_name = "N", default_value_t = 8)]
    baselines: usize,
    /// Each client sees so many entities of 1998, each another part of the world.
    #[arg(long, value_name = "N")]
    visible: Option<usize>,
    /// Whether clients that hold and see the same are told from one writing, as in the product.
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = on_or_off)]
    equal_views: OnOff,
    /// One JSON object and nothing else.
    #[arg(long)]
    json: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A switch.
#[derive(Debug, Clone, Copy)]
struct OnOff(bool);

fn on_or_off(text: &str) -> Result<OnOff, String> {
    match text {
        "on" => Ok(OnOff(true)),
        "off" => Ok(OnOff(false)),
        _ => Err("allowed is on or off".to_owned()),
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(
        (1..=27).contains(&options.age),
        "--age is 1 to 27 snapshots"
    );
    let world = data::read(&options.data, options.entities)?;
    let world = match &options.train {
        None => world,
        Some(path) => {
            let from = data::read(path, options.entities)?;
            let tables = learn(&from)?;
            with_tables(world, tables)?
        }
    };
    match options.clients {
        None => alone(&options, &world),
        Some(clients) => crowd(&options, &world, clients),
    }
}

fn learn(world: &World) -> Result<Tables> {
    let mut trainer = Trainer::new(&world.schema);
    for (tick, rows) in world.ticks.iter().enumerate() {
        trainer.begin(tickwire::time::Tick(tick as u32));
        for row in rows {
            trainer.put(row.id, row.kind, &row.values);
        }
    }
    trainer.learn().context("cannot learn from this")
}

fn with_tables(mut world: World, tables: Tables) -> Result<World> {
    let schema = data::Schema::clone(&world.schema).with_tables(tables)?;
    world.schema = std::sync::Arc::new(schema);
    Ok(world)
}

/// What is printed of one client.
#[derive(Debug, Serialize)]
struct Alone {
    entities: usize,
    age: usize,
    bytes_per_tick: f64,
    encode_shared_us: f64,
    assemble_us_per_client: f64,
    decode_us: f64,
    mismatches: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<reference::References>,
}

/// Two clients with one history: what the first pays more than the second is what they share.
fn alone(options: &Options, world: &World) -> Result<()> {
    // Two clients with equal views: each is to assemble its own.
    let mut stage = Stage::new(world, false)?;
    let age = options.age;
    let client = |index| Client::new(world, index, age, (0.0, 1.0));
    let mut clients = [client(0), client(1)];
    let mut desk = Desk::new();
    let (mut shared, mut own, mut decode) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bytes, mut mismatches, mut ticks) = (0, 0, 0);
    for tick in 0..world.ticks.len() {
        let viewers = clients.iter().map(|client| (client.slot, client.center));
        let frame = stage.publish(tick, false, viewers)?;
        let mut took = [Duration::ZERO; 2];
        for (client, took) in clients.iter_mut().zip(&mut took) {
            client.hear(tick);
            *took = client.tell(tick, &frame, &mut desk);
            let reading = client.read(desk.part())?;
            if tick >= SKIP.max(age + 6) {
                bytes += desk.part().len();
                decode.push(reading);
            }
        }
        if tick >= SKIP.max(age + 6) {
            shared.push(took[0].saturating_sub(took[1]));
            own.push(took[1]);
            mismatches += clients[1].mismatches(&world.ticks[tick], |_| true);
            ticks += 1;
        }
    }
    ensure!(ticks > 0, "too few ticks to measure");
    let references = match options.json {
        true => None,
        false => Some(reference::measure(world, age, SKIP)?),
    };
    let report = Alone {
        entities: world.entities,
        age,
        bytes_per_tick: rounded(bytes as f64 / 2.0 / f64::from(ticks)),
        encode_shared_us: median(shared),
        assemble_us_per_client: median(own),
        decode_us: median(decode),
        mismatches,
        references,
    };
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}

/// What is printed of many clients.
#[derive(Debug, Serialize)]
struct Crowd {
    entities: usize,
    clients: usize,
    baselines: usize,
    visible: usize,
    tick_us: f64,
    bytes_per_client: f64,
    mismatches: usize,
}

fn crowd(options: &Options, world: &World, count: usize) -> Result<()> {
    ensure!(
        count > 0 && (1..=24).contains(&options.baselines),
        "--clients and --baselines are at least 1, baselines at most 24"
    );
    let tiled = options.visible.map(|_| world.tiled(TILED)).transpose()?;
    let world = tiled.as_ref().unwrap_or(world);
    let visible = options
        .visible
        .unwrap_or(world.entities)
        .min(world.entities);
    // Everybody stands in a row, and a client in the middle of what it sees.
    let first = |index: usize| (index * 37) % (world.entities - visible + 1);
    let sight = |index: usize| match options.visible {
        None => (0.0, 1.0),
        Some(_) => {
            let half = (visible as f32 - 1.0) / 2.0;
            (first(index) as f32 + half, half + 0.25)
        }
    };
    let mut clients: Vec<Client> = (0..count)
        .map(|index| {
            let age = YOUNGEST + index % options.baselines;
            Client::new(world, index as u32, age, sight(index))
        })
        .collect();
    let mut stage = Stage::new(world, options.equal_views.0)?;
    let mut desk = Desk::new();
    let mut times = Vec::new();
    let (mut bytes, mut parts, mut mismatches) = (0, 0, 0);
    let warm = SKIP + YOUNGEST + options.baselines;
    for tick in 0..world.ticks.len() {
        let viewers = clients.iter().map(|client| (client.slot, client.center));
        let frame = stage.publish(tick, options.visible.is_some(), viewers)?;
        for client in &mut clients {
            client.hear(tick);
        }
        let mut took = Duration::ZERO;
        for (index, client) in clients.iter_mut().enumerate() {
            took += client.tell(tick, &frame, &mut desk);
            if tick >= warm {
                bytes += desk.part().len();
                parts += 1;
            }
            if !index.is_multiple_of(count.div_ceil(CHECKED)) {
                continue;
            }
            client.read(desk.part())?;
            let seen = first(index)..first(index) + visible;
            let sees = |slot: u16| options.visible.is_none() || seen.contains(&usize::from(slot));
            mismatches += client.mismatches(&world.ticks[tick], sees);
        }
        if tick >= warm {
            times.push(took);
        }
    }
    ensure!(parts > 0, "too few ticks to measure");
    let report = Crowd {
        entities: world.entities,
        clients: count,
        baselines: options.baselines,
        visible,
        tick_us: median(times),
        bytes_per_client: rounded(bytes as f64 / f64::from(parts)),
        mismatches,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    (middle.as_secs_f64() * 1e8).round() / 100.0
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

//! A client in another language, written from `docs/protocol.md` alone, plays on our server.
//!
//! `tickwire_client.py` has no ciphers: this test is its session layer and its network, which loses every
//! tenth datagram in both directions. Whatever the foreigner believes about the world is held against the
//! frames.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a conversation that cannot be had fails its test"
)]

mod world;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use tickwire::id::{ClientId, ClientSlot, UserData};
use tickwire::proto::channel::{ChannelId, LinkConfig};
use tickwire::proto::event::{DisconnectReason, ServerEvent, Warning};
use tickwire::proto::netcode::{
    ClientReceived, ClientState, Key, LocalRegistry, MAX_DATAGRAM, NetcodeClient, ServerConfig,
    TokenSpec,
};
use tickwire::proto::server::{ServerEndpoint, ServerEndpointConfig};
use tickwire::proto::snapshot::{TickFrame, ViewConfig};
use tickwire::time::{Tick, TickRate, Timestamp, UnixTime};
use world::World;

const PROTOCOL: u64 = 1;
const WALL: UnixTime = UnixTime(1_700_000_000);
const SNAPSHOT_EVERY: u16 = 2;
const STEP: Duration = Duration::from_millis(4);
const DELAY: Duration = Duration::from_millis(30);
const LOSS: f64 = 0.1;

/// The program in the other language.
struct Foreigner {
    child: Child,
    says: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl Foreigner {
    /// `None` when there is no Python here.
    fn new() -> Option<Self> {
        let program = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/foreign/tickwire_client.py"
        );
        let mut child = Command::new("python3")
            .args(["-B", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let says = child.stdin.take().expect("it was asked for");
        let hears = BufReader::new(child.stdout.take().expect("it was asked for"));
        Some(Self { child, says, hears })
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.says, "{line}").expect("the foreign client still runs");
    }

    /// Lets time pass and hears what the foreigner has to tell.
    fn at(&mut self, now: Timestamp) -> Vec<String> {
        self.tell(&format!("at {}", now.as_micros()));
        let mut told = Vec::new();
        loop {
            let mut line = String::new();
            let len = self.hears.read_line(&mut line).expect("lines of text");
            assert!(len > 0, "the foreign client died: see its last words above");
            match line.trim_end() {
                "done" => return told,
                line => told.push(line.to_owned()),
            }
        }
    }
}

impl Drop for Foreigner {
    fn drop(&mut self) {
        // It may have ended by itself, with an error that is on the screen already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| {
            let two = core::str::from_utf8(two).expect("digits");
            u8::from_str_radix(two, 16).expect("digits")
        })
        .collect()
}

/// What the foreigner told of the world and of the rest.
#[derive(Default)]
struct Told {
    welcome: Vec<String>,
    messages: Vec<(u8, Vec<u8>)>,
    parts: usize,
    whole: usize,
    complete: usize,
    entities: usize,
    stale: usize,
    owned: usize,
    in_pieces: usize,
    refused: BTreeMap<String, usize>,
    margins: Vec<i64>,
    warnings: usize,
}

struct Conversation {
    now: Timestamp,
    tick: Tick,
    server: ServerEndpoint,
    session: NetcodeClient,
    foreigner: Foreigner,
    world: World,
    frames: BTreeMap<u32, Arc<TickFrame>>,
    slot: Option<ClientSlot>,
    /// Payloads for the foreigner and datagrams for the server, by the time they arrive.
    down: BTreeMap<(Timestamp, u64), Vec<u8>>,
    up: BTreeMap<(Timestamp, u64), Vec<u8>>,
    sent: u64,
    rng: ChaCha8Rng,
    events: Vec<ServerEvent>,
    told: Told,
}

fn server_address() -> SocketAddr {
    "10.0.0.1:7777".parse().expect("an address")
}

fn client_address() -> SocketAddr {
    "10.0.0.2:40000".parse().expect("an address")
}

impl Conversation {
    fn new(foreigner: Foreigner, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let key = Key::generate(&mut rng);
        let spec = TokenSpec {
            protocol_id: PROTOCOL,
            client: ClientId(7),
            servers: vec![server_address()],
            created: WALL,
            expires: WALL.plus_seconds(30),
            timeout_seconds: 5,
            user_data: UserData::default(),
        };
        let token = spec.issue(&key, &mut rng).expect("a good token");
        let world = World::new(u32::from(SNAPSHOT_EVERY), seed);
        let config = ServerEndpointConfig {
            netcode: ServerConfig::new(PROTOCOL, key, server_address(), 4),
            link: Arc::new(LinkConfig::default()),
            // Too little for everything: some of it is deferred, and it comes in several parts.
            view: ViewConfig {
                bytes_per_snapshot: 1_350,
                ..ViewConfig::default()
            },
            schema: Arc::clone(&world.schema),
            tick_rate: TickRate::HZ_60,
            snapshot_every: SNAPSHOT_EVERY,
            hello_timeout: Duration::from_secs(5),
            unresponsive_after: Duration::from_secs(10),
        };
        let registry = Arc::new(LocalRegistry::new(4));
        let server = ServerEndpoint::new(config, &mut rng, WALL.0 * 1_000_000, registry)
            .expect("a good configuration");
        let mut conversation = Self {
            now: Timestamp::ZERO,
            tick: Tick(0),
            server,
            session: NetcodeClient::new(token, Timestamp::ZERO),
            foreigner,
            world,
            frames: BTreeMap::new(),
            slot: None,
            down: BTreeMap::new(),
            up: BTreeMap::new(),
            sent: 0,
            rng,
            events: Vec::new(),
            told: Told::default(),
        };
        let schema = conversation.world.schema_as_json();
        conversation.foreigner.tell(&format!("schema {schema}"));
        let tables = conversation.world.schema.tables().to_bytes();
        let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/foreign.tables");
        std::fs::write(file, tables).expect("a folder for the tables");
        conversation.foreigner.tell(&format!("tables {file}"));
        conversation
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += STEP;
            self.step_world();
            self.deliver();
            self.server.handle_timeout(self.now);
            self.session.handle_timeout(self.now);
            self.send_down();
            self.send_up();
            while let Some(event) = self.server.poll_event() {
                if let ServerEvent::Connected { slot, .. } = event {
                    self.slot = Some(slot);
                }
                self.events.push(event);
            }
        }
    }

    fn step_world(&mut self) {
        let due = TickRate::HZ_60.ticks_in(self.now.since(Timestamp::ZERO));
        while self.tick.0 < due {
            self.tick = self.tick.next();
            if self.tick.0.is_multiple_of(u32::from(SNAPSHOT_EVERY)) {
                let frame = self.world.publish(self.tick, self.slot);
                self.frames.insert(self.tick.0, Arc::clone(&frame));
                self.server.publish(self.now, frame);
            }
            if !self.told.welcome.is_empty() {
                let (tick, held) = (self.tick.0 + 6, self.tick.0 / 20);
                self.foreigner
                    .tell(&format!("input {tick} {}", hex(&held.to_le_bytes())));
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.up.first_entry()
            && entry.key().0 <= self.now
        {
            let mut datagram = entry.remove();
            self.server
                .handle_datagram(self.now, client_address(), &mut datagram);
        }
        while let Some(entry) = self.down.first_entry()
            && entry.key().0 <= self.now
        {
            let mut datagram = entry.remove();
            if let ClientReceived::Payload(payload) =
                self.session
                    .receive(self.now, server_address(), &mut datagram)
            {
                let micros = self.now.as_micros();
                self.foreigner
                    .tell(&format!("payload {micros} {}", hex(payload)));
            }
        }
    }

    /// When a datagram arrives, if it does; a little out of order.
    fn arrival(&mut self) -> Option<(Timestamp, u64)> {
        self.sent += 1;
        let delay = DELAY + Duration::from_millis(self.rng.random_range(0..12));
        (!self.rng.random_bool(LOSS)).then_some((self.now + delay, self.sent))
    }

    fn send_down(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some(transmit) = self.server.poll_transmit(self.now, &mut buffer) {
            if let Some(at) = self.arrival() {
                self.down.insert(at, buffer[..transmit.len].to_vec());
            }
        }
    }

    fn send_up(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        let mut datagrams = Vec::new();
        while let Some(transmit) = self.session.poll_transmit(self.now, &mut buffer) {
            datagrams.push(buffer[..transmit.len].to_vec());
        }
        if self.session.state() == ClientState::Connected {
            for line in self.foreigner.at(self.now) {
                if let Some(payload) = self.hear(&line) {
                    let sealed = self.session.seal(self.now, &mut buffer, |room| {
                        room[..payload.len()].copy_from_slice(&payload);
                        payload.len()
                    });
                    let len = sealed.expect("the session is open").len;
                    datagrams.push(buffer[..len].to_vec());
                }
            }
        }
        for datagram in datagrams {
            if let Some(at) = self.arrival() {
                self.up.insert(at, datagram);
            }
        }
    }

    /// Notes what the foreigner told; a payload is handed back.
    fn hear(&mut self, line: &str) -> Option<Vec<u8>> {
        let (what, rest) = line.split_once(' ').expect("a word and its fields");
        let words: Vec<&str> = rest.split(' ').collect();
        let told = &mut self.told;
        match what {
            "payload" => return Some(unhex(rest)),
            "welcome" => told.welcome = words.iter().map(|word| (*word).to_owned()).collect(),
            "message" => {
                let channel = words[0].parse().expect("a channel");
                told.messages.push((channel, unhex(words[1])));
            }
            "margin" => told.margins.push(rest.parse().expect("microseconds")),
            "warning" => {
                assert_eq!(
                    words,
                    [Warning::ShutdownSoon.code().to_string(), "2500".to_owned()]
                );
                told.warnings += 1;
            }
            "refused" => *told.refused.entry(rest.to_owned()).or_default() += 1,
            "part" => self.hear_part(&words),
            _ => panic!("the foreign client says: {line}"),
        }
        None
    }

    /// Each value must be that of the server's frame at its `as_of`, and a complete snapshot must be fresh.
    fn hear_part(&mut self, words: &[&str]) {
        let tick: u32 = words[0].parse().expect("a tick");
        let (whole, complete) = (words[1] == "1", words[2] == "1");
        for entity in &words[3..] {
            let fields: Vec<i64> = entity
                .split(':')
                .map(|field| field.parse().expect("a number"))
                .collect();
            let [slot, generation, kind, as_of, values @ ..] = &fields[..] else {
                panic!("an entity is at least four numbers: {entity}");
            };
            let as_of = u32::try_from(*as_of).expect("a tick");
            let frame = &self.frames[&as_of];
            let row = frame.entity(u16::try_from(*slot).expect("a slot"));
            let row = row.unwrap_or_else(|| panic!("nobody was in {entity} at {as_of}"));
            let schema = frame.schema();
            let fields = &schema.kind(row.kind).expect("a kind").fields;
            let slot = self.slot.expect("it is told after it is taken in");
            let viewpoint = frame.viewpoint(slot);
            let owns = viewpoint.is_some_and(|viewpoint| viewpoint.always == Some(row.id));
            self.told.owned += usize::from(owns && row.kind.0 == 0);
            let truth: Vec<i64> = row
                .values
                .iter()
                .zip(fields)
                .map(|(value, field)| match field.quantity {
                    _ if field.owner_only && !owns => 0,
                    // The library keeps these 32 bits in an `i32`.
                    tickwire::proto::snapshot::Quantity::Unsigned { bits: 32 } => {
                        i64::from(value.cast_unsigned())
                    }
                    _ => i64::from(*value),
                })
                .collect();
            assert_eq!(values, truth, "{entity} in the snapshot of {tick}");
            let who = (i64::from(row.id.generation), i64::from(row.kind.0));
            assert_eq!((*generation, *kind), who, "{entity}");
            assert!(!complete || as_of == tick, "complete and yet {entity}");
            self.told.stale += usize::from(as_of != tick);
        }
        self.told.entities += words.len() - 3;
        self.told.parts += 1;
        self.told.whole += usize::from(whole);
        self.told.complete += usize::from(complete);
        self.told.in_pieces += usize::from(!whole);
    }
}

#[test]
fn a_client_written_from_the_document_alone_plays_on_our_server() {
    let Some(foreigner) = Foreigner::new() else {
        println!("SKIPPED: there is no python3 here, so nobody foreign talks to the server");
        return;
    };
    let seed = std::env::var("SEED").map_or(0x0F0E, |seed| seed.parse().expect("a number"));
    println!("SEED={seed}");
    let mut talk = Conversation::new(foreigner, seed);
    talk.run(Duration::from_millis(800));
    let slot = talk.slot.expect("the server took the foreigner in");
    let place = [slot.index, slot.generation].map(|number| number.to_string());
    assert_eq!(
        talk.told.welcome[..5],
        ["1", &place[0], &place[1], "60", "2"]
    );

    // Messages both ways, in order whatever is lost.
    for number in 0..60_u8 {
        let message = vec![number; 1 + usize::from(number) * 9];
        talk.foreigner.tell(&format!("send 0 {}", hex(&message)));
        talk.server
            .send(slot, ChannelId(0), &message)
            .expect("there is room");
        talk.server
            .send(slot, ChannelId(1), &message)
            .expect("there is room");
        talk.foreigner.tell(&format!("send 1 {}", hex(&message)));
        talk.run(Duration::from_millis(20));
    }
    talk.run(Duration::from_secs(2));
    let expected: Vec<Vec<u8>> = (0..60)
        .map(|number| vec![number; 1 + usize::from(number) * 9])
        .collect();
    let on = |wanted: u8, messages: &[(u8, Vec<u8>)]| -> Vec<Vec<u8>> {
        let of = messages.iter().filter(|(channel, _)| *channel == wanted);
        of.map(|(_, message)| message.clone()).collect()
    };
    let events = std::mem::take(&mut talk.events);
    let up: Vec<(u8, Vec<u8>)> = events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Message {
                channel, message, ..
            } => Some((channel.0, message.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(on(0, &up), expected, "what the foreigner said reliably");
    assert_eq!(on(0, &talk.told.messages), expected, "and what it heard");
    for messages in [&up, &talk.told.messages] {
        let arrived = on(1, messages);
        assert!((40..=60).contains(&arrived.len()), "{}", arrived.len());
        assert!(arrived.iter().all(|message| expected.contains(message)));
    }

    talk.run(Duration::from_secs(3));

    // Inputs: each tick once, although one datagram in ten is lost.
    let inputs: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Input { tick, input, .. } => {
                let held = (tick.0 - 6) / 20;
                assert_eq!(input.as_slice(), held.to_le_bytes(), "{tick}");
                Some(tick.0)
            }
            _ => None,
        })
        .collect();
    let (first, last) = (
        inputs.iter().min().expect("inputs came"),
        inputs.iter().max().expect("inputs came"),
    );
    assert_eq!(inputs.len() as u32, last - first + 1);

    // A client that lost its memory asks, and heals.
    let before = talk.told.whole;
    talk.foreigner.tell("forget");
    talk.run(Duration::from_secs(3));
    assert!(talk.told.refused["unknown_baseline"] > 0);
    assert!(
        talk.told.whole > before + 60,
        "it never saw the world again"
    );

    talk.server
        .warn(slot, Warning::ShutdownSoon, Duration::from_millis(2_500));
    talk.run(Duration::from_millis(500));
    talk.foreigner.tell("leave");
    talk.run(Duration::from_millis(500));
    assert!(talk.events.iter().any(|event| matches!(
        event,
        ServerEvent::Disconnected {
            reason: DisconnectReason::ClosedByClient,
            ..
        }
    )));

    let told = &talk.told;
    println!(
        "{} parts, {} snapshots whole, {} complete, {} values held against the frames, {} of them older than their snapshot",
        told.parts, told.whole, told.complete, told.entities, told.stale
    );
    assert!(told.whole > 200 && told.complete > 0);
    assert!(told.stale > 100, "nothing was deferred");
    assert!(told.owned > 100, "{} times it owned somebody", told.owned);
    assert!(told.in_pieces > 50, "no snapshot took several parts");
    assert!(told.warnings > 0 && !told.margins.is_empty());
    let refused: Vec<&str> = told.refused.keys().map(String::as_str).collect();
    assert_eq!(refused, ["unknown_baseline"], "only what was asked for");
    let rejections = talk.server.stats().rejections.iter();
    let rejections: Vec<_> = rejections.filter(|(_, _, count)| *count > 0).collect();
    // What was under way when the goodbye arrived.
    assert!(
        rejections.iter().all(|(_, name, _)| *name == "no_session"),
        "{rejections:?}"
    );
}

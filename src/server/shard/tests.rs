//! A shard's core and a client in virtual time: what happens when the tick loop does not listen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;

use tokio::sync::{mpsc, watch};

use super::core::{Command, Core};
use super::pause::CROWD;
use super::{Pause, Shard, Wake, heard_before_a_frame};
use crate::game::Recipients;
use crate::id::{ClientId, UserData};
use crate::proto::channel::{ChannelId, LinkConfig};
use crate::proto::client::{ClientEndpoint, ClientEndpointConfig};
use crate::proto::event::{ClientEvent, DisconnectReason, ServerEvent};
use crate::proto::input::InputBytes;
use crate::proto::netcode::{self, Key, TokenSpec};
use crate::proto::server::{ServerEndpoint, ServerEndpointConfig};
use crate::proto::snapshot::{FrameConfig, FrameHistory, ViewConfig};
use crate::server::admission::{Admission, AdmissionConfig, PrefixCells};
use crate::server::clock::ServerClock;
use crate::server::directory::Directory;
use crate::server::metrics::{Counter, ShardMetrics};
use crate::server::socket::{BATCH, Mechanisms, SendQueue, ShardSocket, open};
use crate::time::{Tick, TickRate, Timestamp, UnixTime};

const SERVER: &str = "192.0.2.1:7777";
const CLIENT: &str = "198.51.100.7:5000";
const WALL: UnixTime = UnixTime(1_000_000);
const STEP: Duration = Duration::from_millis(5);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A client with a token for the shard.
fn client(id: u64, key: &Key, now: Timestamp) -> ClientEndpoint {
    let spec = TokenSpec {
        protocol_id: 1,
        client: ClientId(id),
        servers: vec![address(SERVER)],
        created: WALL,
        expires: WALL.plus_seconds(30),
        timeout_seconds: 5,
        user_data: UserData::default(),
    };
    let mut rng = ChaCha20Rng::seed_from_u64(id);
    let token = spec.issue(key, &mut rng).expect("a good token");
    let config = ClientEndpointConfig::new(crate::game::arena::schema());
    ClientEndpoint::new(config, token, now, WALL)
}

/// One shard, one client, and a wire without delay.
struct Bench {
    now: Timestamp,
    core: Core,
    inbox: Receiver<ServerEvent>,
    metrics: Arc<ShardMetrics>,
    directory: Arc<Directory>,
    key: Key,
    client: ClientEndpoint,
    /// What the client was told.
    told: Vec<ClientEvent>,
}

impl Bench {
    fn new(inbox_size: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let key = Key::generate(&mut rng);
        let (link, schema) = (
            Arc::new(LinkConfig::default()),
            crate::game::arena::schema(),
        );
        let directory = Arc::new(Directory::new(4));
        let config = ServerEndpointConfig {
            netcode: netcode::ServerConfig::new(1, key.clone(), address(SERVER), 4),
            link: Arc::clone(&link),
            view: ViewConfig::default(),
            schema: Arc::clone(&schema),
            tick_rate: TickRate::HZ_60,
            snapshot_every: 2,
            hello_timeout: Duration::from_secs(5),
            unresponsive_after: Duration::from_secs(10),
        };
        let endpoint = ServerEndpoint::new(config, &mut rng, 1, Arc::clone(&directory) as _);
        let admission = Admission::new(AdmissionConfig::default(), PrefixCells::new(&mut rng));
        let metrics = Arc::new(ShardMetrics::default());
        let (sender, inbox) = sync_channel(inbox_size);
        let mut core = Core::new(
            0,
            endpoint.expect("a good configuration"),
            admission,
            Arc::clone(&directory),
            Arc::clone(&metrics),
            sender,
            (Arc::clone(&link), 2),
        );
        core.set_wall_clock(WALL);
        let now = Timestamp::from_millis(1_000);
        Self {
            now,
            core,
            inbox,
            metrics,
            directory,
            client: client(9, &key, now),
            key,
            told: Vec::new(),
        }
    }

    /// So many others ask to be let in; their challenges wait to be sent.
    fn besiege(&mut self, strangers: u16) {
        let mut buffer = [0; 2048];
        for stranger in 0..strangers {
            let mut client = client(100 + u64::from(stranger), &self.key, self.now);
            let request = client
                .poll_transmit(self.now, &mut buffer)
                .expect("a request");
            let [high, low] = stranger.to_be_bytes();
            let from = SocketAddr::from(([127, 66, high, low], 9));
            (self.core).receive(self.now, from, &mut buffer[..request.len]);
        }
    }

    /// Lets so many steps of five milliseconds pass.
    fn run(&mut self, steps: u32) {
        let mut buffer = [0; 2048];
        for _ in 0..steps {
            self.now += STEP;
            self.client.handle_timeout(self.now);
            while let Some(sent) = self.client.poll_transmit(self.now, &mut buffer) {
                self.core
                    .receive(self.now, address(CLIENT), &mut buffer[..sent.len]);
            }
            self.core.settle(self.now);
            while let Some((_, len)) = self.core.poll_transmit(self.now, &mut buffer) {
                self.client
                    .handle_datagram(self.now, address(SERVER), &mut buffer[..len]);
            }
            while let Some(event) = self.client.poll_event() {
                self.told.push(event);
            }
        }
    }

    /// Connects, and lets the tick loop take note of it.
    fn connected() -> Self {
        let mut bench = Self::new(8);
        bench.run(100);
        assert!(matches!(
            bench.inbox.try_recv(),
            Ok(ServerEvent::Connected { .. })
        ));
        bench
    }

    fn counted(&self, counter: Counter) -> u64 {
        self.metrics.read().get(counter)
    }

    fn end(&self) -> Option<DisconnectReason> {
        self.told.iter().find_map(|event| match event {
            ClientEvent::Disconnected { reason, .. } => Some(*reason),
            _ => None,
        })
    }
}

#[test]
fn everybodys_figures_are_shown_once_a_second() {
    let mut bench = Bench::connected();
    let slot = bench.directory.slot_of(ClientId(9)).expect("seated");
    assert_eq!(bench.directory.figures().read(slot), None);
    for _ in 0..200 {
        bench.core.survey();
    }
    let shown = bench.directory.figures().read(slot).expect("shown");
    // Longer than the request and the response of the handshake, which carry no payload.
    assert!(shown.bytes_received > 0 && shown.bytes_sent > 0);
    assert!(shown.datagrams_received > 0 && shown.datagrams_sent > 0);
    assert!(shown.round_trip_ms.is_some());
    let noted = |bench: &Bench| bench.metrics.read().round_trips.count;
    let before = noted(&bench);
    for _ in 0..3 * 200 {
        bench.core.survey();
    }
    assert_eq!(
        noted(&bench),
        before + 3,
        "once a second, however few there are"
    );
}

#[test]
fn inputs_that_find_no_room_are_dropped_and_counted_and_messages_wait() {
    let mut bench = Bench::connected();
    // The tick loop is asleep. Far more inputs come than the inbox holds.
    for tick in 0..40 {
        bench
            .client
            .send_input(Tick(tick), InputBytes::new(&[1]).expect("short"));
        bench.run(1);
    }
    let dropped = bench.counted(Counter::InputsDropped);
    assert!(dropped > 0);
    for number in 0..20 {
        bench
            .client
            .send(ChannelId(0), &[number])
            .expect("there is room");
    }
    bench.run(100);
    assert!(bench.counted(Counter::InboxStalls) > 0);
    // It wakes up: every message is there, in order.
    let mut messages = Vec::new();
    for _ in 0..100 {
        while let Ok(event) = bench.inbox.try_recv() {
            if let ServerEvent::Message { message, .. } = event {
                messages.extend(message);
            }
        }
        bench.run(1);
    }
    assert_eq!(messages, (0..20).collect::<Vec<_>>());
    assert_eq!(bench.counted(Counter::InputsDropped), dropped);
}

#[test]
fn a_banned_client_is_told_so_and_the_tick_loop_never_hears_of_it() {
    let mut bench = Bench::new(8);
    bench.directory.ban(ClientId(9));
    bench.run(200);
    assert_eq!(bench.end(), Some(DisconnectReason::Banned));
    assert!(bench.inbox.try_recv().is_err());
    assert_eq!(bench.directory.seated(), 0);
    assert_eq!(bench.counted(Counter::BannedRefused), 1);
}

#[test]
fn a_reliable_message_that_does_not_fit_ends_the_session_with_a_reason() {
    let mut bench = Bench::connected();
    let message: Arc<[u8]> = Arc::from([7; 1_000]);
    for _ in 0..200 {
        let message = Arc::clone(&message);
        let (to, channel) = (Recipients::All, ChannelId(0));
        bench.core.carry_out(
            bench.now,
            Command::Message {
                to,
                channel,
                message,
            },
        );
    }
    bench.run(200);
    assert_eq!(bench.end(), Some(DisconnectReason::Unresponsive));
    assert_eq!(bench.counted(Counter::ClientsOverrun), 1);
    assert!(matches!(
        bench.inbox.try_recv(),
        Ok(ServerEvent::Disconnected { .. })
    ));
    assert!(bench.core.is_empty());
}

#[test]
fn the_end_is_told_and_nobody_new_is_taken_in() {
    let mut bench = Bench::connected();
    bench.core.stop(bench.now, "later");
    bench.run(10);
    assert_eq!(bench.end(), Some(DisconnectReason::ServerShutdown));
    assert!(bench.core.is_empty());
    assert_eq!(bench.directory.roster(), []);
}

/// A shard that took longer for its frames than a tick found a new one each time it looked, and its socket never had a
/// turn. Nothing was acknowledged any more, so each snapshot was told from nothing: the most work there is. It stayed
/// late until its clients gave up, with five per cent of what they had sent read.
#[test]
fn whoever_spoke_while_a_frame_was_served_is_heard_before_the_next_one() {
    on_a_runtime(async {
        let (mut shard, mut socket, metrics) = alone(Bench::new(8)).await;
        let strangers = heard_before_a_frame(0);
        let plain = open(address(LOOPBACK), 1).expect("opens").remove(0);
        let to = socket.local_addr().expect("bound");
        let say = |times: u64| {
            for _ in 0..times {
                plain.send_to(&[1], to).expect("sent");
            }
        };
        say(strangers / 2);
        socket.readable().await.expect("readable");
        shard.attend(Wake::Frame, Timestamp::from_millis(1_000), &mut socket);
        let heard = || metrics.read().get(Counter::DatagramsReceived);
        assert_eq!(heard(), strangers / 2);

        // Nor does a flood keep a frame waiting for ever.
        say(3 * strangers);
        socket.readable().await.expect("readable");
        shard.attend(Wake::Frame, Timestamp::from_millis(1_017), &mut socket);
        let read = heard() - strangers / 2;
        assert!(
            (strangers..strangers + BATCH as u64).contains(&read),
            "{read}"
        );
    });
}

/// It sleeps for a moment when it has read all there was, and knows from the frames when that may be.
#[test]
fn a_shard_may_sleep_when_it_has_read_all_and_not_before_it_knows_of_frames() {
    on_a_runtime(async {
        let (mut shard, mut socket, _) = alone(Bench::new(8)).await;
        let (moment, tick) = (Duration::from_millis(1), Duration::from_millis(17));
        shard.pause = Pause::new(moment);
        let (frames, seen) = watch::channel(None);
        shard.frames = seen;
        let history = FrameHistory::new(crate::game::arena::schema(), FrameConfig::default());
        let mut history = history.expect("a good configuration");
        let mut now = Timestamp::from_millis(1_000);
        for number in 1..3 {
            assert_eq!(shard.pause.now(now, CROWD), None);
            let builder = history.begin(Tick(2 * number)).expect("in order");
            frames.send_replace(Some(history.publish(builder)));
            now += tick;
            let heard_all = shard.attend(Wake::Frame, now, &mut socket);
            assert!(!heard_all, "there is a frame to send");
        }
        assert_eq!(shard.pause.now(now, CROWD), Some(moment));

        let plain = open(address(LOOPBACK), 1).expect("opens").remove(0);
        for _ in 0..=BATCH {
            let to = socket.local_addr().expect("bound");
            plain.send_to(&[1], to).expect("sent");
        }
        socket.readable().await.expect("readable");
        assert!(!shard.attend(Wake::Socket, now, &mut socket), "one is left");
        assert!(shard.attend(Wake::Socket, now, &mut socket));
        assert!(!shard.attend(Wake::Timer, now, &mut socket));
    });
}

/// The other half of the story above: a frame for a thousand clients took longer to send than the kernel had room for
/// what they said meanwhile.
#[test]
fn whoever_speaks_while_much_is_sent_is_heard_between_two_batches() {
    on_a_runtime(async {
        let mut bench = Bench::new(8);
        bench.besiege(BATCH as u16 + 1);
        let now = bench.now;
        let (mut shard, mut socket, metrics) = alone(bench).await;
        let read_before = metrics.read().get(Counter::DatagramsReceived);
        let plain = open(address(LOOPBACK), 1).expect("opens").remove(0);
        let to = socket.local_addr().expect("bound");
        for _ in 0..5 {
            plain.send_to(&[1], to).expect("sent");
        }
        let mut queue = SendQueue::new(to);
        shard.transmit(now, &mut socket, &mut queue);
        let figures = metrics.read();
        assert_eq!(figures.get(Counter::DatagramsSent), BATCH as u64 + 1);
        assert_eq!(figures.get(Counter::DatagramsReceived) - read_before, 5);
    });
}

const LOOPBACK: &str = "127.0.0.1:0";

fn on_a_runtime<F: Future>(conversation: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(conversation)
}

/// A shard with a socket of its own.
async fn alone(bench: Bench) -> (Shard, ShardSocket, Arc<ShardMetrics>) {
    let Bench { core, metrics, .. } = bench;
    let open = open(address(LOOPBACK), 1).expect("opens").remove(0);
    let twin = open.try_clone().expect("a second handle");
    let shard = Shard {
        core,
        socket: open,
        mechanisms: Mechanisms::NONE,
        clock: ServerClock::start(),
        frames: watch::channel(None).1,
        commands: mpsc::channel(1).1,
        limits: watch::channel(AdmissionConfig::default()).1,
        stop: watch::channel(None).1,
        drain_timeout: Duration::ZERO,
        pause: Pause::new(Duration::ZERO),
    };
    let socket = ShardSocket::new(twin, Mechanisms::NONE).await;
    (shard, socket.expect("registers"), metrics)
}

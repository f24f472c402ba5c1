//! Swarms against a server in this process: who gets in, and whether the books add up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tickwire::netsim::LinkConditions;
use tickwire::proto::snapshot::{Blend, Field, Kind, Quantity, Schema};
use tickwire::time::{Tick, TickRate};
use tickwire::tools::bots::{Books, Course, Ending, Phase, Swarm, SwarmConfig, conduct};
use tickwire::tools::demo::{Demo, DemoConfig};

use crate::kit::{PROTOCOL, issuer, nobody, server, swarm};

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// Two seconds with a minute until everybody is in: busy machines are slow, and nothing here is about that.
fn play(config: SwarmConfig, to: SocketAddr) -> (Ending, Books) {
    let course = Course::new(
        config.bots,
        Duration::from_secs(60),
        Some(Duration::from_secs(2)),
    );
    let swarm = Swarm::start(config, issuer(to)).expect("sockets and threads");
    runtime().block_on(async {
        let never = std::future::pending::<()>();
        let (ending, _) =
            conduct(&swarm, course, Duration::from_secs(1), never, |_, _, _| {}).await;
        swarm.enter(Phase::Ending(swarm.live().newest.unwrap_or(Tick(0))));
        tokio::time::sleep(Duration::from_millis(500)).await;
        (ending, swarm.finish())
    })
}

#[test]
fn twenty_bots_play_and_their_books_add_up() {
    let server = server(20);
    let (ending, books) = play(swarm(20, server.local_addr()), server.local_addr());
    let stats = server.shutdown("the test is over").expect("it ends well");
    let tally = &books.tally;
    assert_eq!(ending, Ending::Done);
    assert_eq!(
        (tally.joined, tally.connected, books.missed.total()),
        (20, 20, 0)
    );
    assert_eq!(tally.disconnects, BTreeMap::new());
    assert_eq!(books.times.connects.len(), 20, "each connected once");

    // Nothing is received that there was not to get, and half of it in the worst case.
    assert!(tally.expected >= tally.whole, "{tally:?}");
    assert!(
        tally.whole * 2 > tally.expected && tally.whole >= 20,
        "{tally:?}"
    );
    assert!(tally.first <= tally.newest);
    // Every applied input was sent by somebody; not every one that was sent need have come in time.
    let inputs = stats.tick.inputs;
    assert!(
        inputs.applied > 0 && inputs.applied <= tally.inputs,
        "{inputs:?} {tally:?}"
    );
    assert_eq!(inputs.rejected, 0, "{inputs:?}");
    // Two seconds of twenty bots, each with a snapshot of at least a byte now and then.
    assert!(tally.playing >= Duration::from_secs(20), "{tally:?}");
    assert!(tally.bytes_down > 0 && tally.bytes_up > 0, "{tally:?}");
    // A client cannot have received more than the server sent.
    use tickwire::server::metrics::Counter;
    assert!(tally.bytes_down <= stats.total.get(Counter::BytesSent));
}

#[test]
fn a_demo_compares_every_snapshot_and_finds_no_difference() {
    let demo = Demo::start(DemoConfig {
        bots: 20,
        length: Some(Duration::from_secs(2)),
        tick_rate: TickRate::HZ_60,
        snapshot_rate: TickRate::HZ_30,
        seed: 3,
        network: LinkConditions::PERFECT,
        record: None,
        tables: None,
    });
    let demo = demo.expect("a server and its bots");
    let mut pictures = 0;
    let report = runtime().block_on(async {
        let never = std::future::pending::<()>();
        demo.play(never, Duration::from_millis(100), |picture| {
            pictures += u32::from(picture.frame.is_some());
        })
        .await
    });
    let report = report.expect("it ends well");
    assert_eq!((report.bots, report.connected), (20, 20));
    assert!(
        report.snapshots.received <= report.snapshots.expected,
        "{report:?}"
    );
    assert!(
        report.replica.checked >= report.snapshots.received,
        "{report:?}"
    );
    assert!(
        report.replica.complete <= report.replica.checked,
        "{report:?}"
    );
    assert_eq!(report.replica.mismatches, 0, "{report:?}");
    assert!(report.inputs.applied <= report.inputs.sent, "{report:?}");
    assert!(pictures > 0);
}

#[test]
fn a_swarm_outlives_its_server_and_says_why_it_ended() {
    let server = server(8);
    let address = server.local_addr();
    let course = Course::new(8, Duration::from_secs(60), None);
    let swarm = Swarm::start(swarm(8, address), issuer(address)).expect("sockets and threads");
    let mut server = Some(server);
    let books = runtime().block_on(async {
        let never = std::future::pending::<()>();
        let look = Duration::from_millis(10);
        // Without a length it ends when nobody is left.
        let (ending, _) = conduct(&swarm, course, look, never, |live, _, _| {
            if live.in_game == 8
                && let Some(server) = server.take()
            {
                server.shutdown("good night").expect("it ends well");
            }
        })
        .await;
        assert_eq!(ending, Ending::Done);
        swarm.enter(Phase::Ending(Tick(0)));
        swarm.finish()
    });
    assert_eq!((books.tally.joined, books.tally.connected), (8, 0));
    assert_eq!(
        books.tally.disconnects,
        BTreeMap::from([("server_shutdown", 8)])
    );
}

#[test]
fn more_bots_than_places_are_told_that_the_server_is_full() {
    let server = server(4);
    let (_, books) = play(swarm(6, server.local_addr()), server.local_addr());
    assert_eq!(books.tally.joined, 4);
    assert_eq!(
        books.tally.disconnects,
        BTreeMap::from([("server_full", 2)])
    );
}

#[test]
fn another_schema_another_protocol_and_another_server_are_told_by_name() {
    let server = server(4);
    let address = server.local_addr();

    let mut other_schema = swarm(2, address);
    let fields = vec![Field::new("x", Quantity::Unsigned { bits: 7 }, Blend::Step)];
    let schema = Schema::new(vec![Kind::new("ball", fields)]).expect("a good schema");
    other_schema.client.schema = schema.into();
    let mut other_protocol = swarm(2, address);
    other_protocol.client.protocol_id = Some(PROTOCOL + 1);
    let mut other_server = swarm(2, address);
    other_server.client.server = Some(nobody());

    for (config, reason) in [
        (other_schema, "wrong_schema"),
        (other_protocol, "token_for_other_protocol"),
        (other_server, "token_for_other_server"),
    ] {
        let (ending, books) = play(config, address);
        assert_eq!(ending, Ending::Done);
        assert_eq!(books.tally.joined, 0, "{reason}");
        assert_eq!(books.tally.disconnects, BTreeMap::from([(reason, 2)]));
    }
}

#[test]
fn a_swarm_that_is_dropped_goes_away() {
    let server = server(4);
    let address = server.local_addr();
    let swarm = Swarm::start(swarm(4, address), issuer(address)).expect("sockets and threads");
    let started = std::time::Instant::now();
    while swarm.live().in_game < 4 {
        assert!(started.elapsed() < Duration::from_secs(60), "they come in");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(swarm);
    while server.stats().seated > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "they say goodbye"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! Sockets and what they say to each other on loopback: one conversation for every way to move datagrams.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use super::*;

const LOOPBACK: &str = "127.0.0.1:0";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Every way there is on this system, one mechanism at a time and all together.
fn ways() -> Vec<Mechanisms> {
    let all = Mechanisms::detect(PacketIo::Batch);
    let none = Mechanisms::NONE;
    let mut ways = vec![
        none,
        Mechanisms {
            receive_many: all.receive_many,
            ..none
        },
        Mechanisms {
            receive_many: all.receive_many,
            receive_joined: all.receive_joined,
            ..none
        },
        Mechanisms {
            send_many: all.send_many,
            ..none
        },
        Mechanisms {
            send_segments: all.send_segments,
            ..none
        },
        Mechanisms::detect(PacketIo::Auto),
        all,
    ];
    ways.dedup();
    ways
}

/// Has the same conversation in every way, each on a fresh runtime of this thread.
fn in_every_way<F: Future<Output = ()>>(conversation: impl Fn(Mechanisms) -> F) {
    for way in ways() {
        println!("{way:?}");
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(conversation(way));
    }
}

/// A socket that is not ours.
fn plain() -> std::net::UdpSocket {
    open(address(LOOPBACK), 1).expect("opens").remove(0)
}

async fn socket(text: &str, way: Mechanisms) -> ShardSocket {
    let socket = open(address(text), 1).expect("opens").remove(0);
    ShardSocket::new(socket, way).await.expect("registers")
}

fn bound(socket: &ShardSocket) -> SocketAddr {
    socket.local_addr().expect("bound")
}

fn queue(of: &ShardSocket) -> SendQueue {
    SendQueue::new(bound(of))
}

/// Puts one datagram of so many equal bytes into the queue.
fn push(queue: &mut SendQueue, to: SocketAddr, byte: u8, length: usize) {
    queue
        .push(|buffer| {
            buffer[..length].fill(byte);
            Some((to, length))
        })
        .expect("room");
}

/// Reads until `count` datagrams came: from whom, of which byte, how many of it.
async fn read(socket: &mut ShardSocket, count: usize) -> Vec<(SocketAddr, u8, usize)> {
    let mut received = Vec::new();
    while received.len() < count {
        socket.readable().await.expect("readable");
        socket.receive(|from, bytes| {
            assert!(
                bytes.windows(2).all(|pair| pair[0] == pair[1]),
                "datagrams ran together"
            );
            received.push((from, bytes.first().copied().unwrap_or(0), bytes.len()));
        });
    }
    received
}

/// A shard with more to do than there was time for never waited, so that its runtime never looked at the socket: it sent
/// frame after frame, heard one datagram in ten, and as nobody's acknowledgements arrived each snapshot was told from
/// nothing, which kept it late.
#[test]
fn who_does_not_wait_is_told_what_came_all_the_same() {
    in_every_way(|way| async move {
        let mut ours = socket(LOOPBACK, way).await;
        let theirs = plain();
        let mut heard = 0;
        for round in 1..=3 {
            for _ in 0..10 {
                theirs.send_to(&[7; 20], bound(&ours)).expect("sent");
            }
            // Nothing is awaited in between.
            while !ours.receive(|_, _| heard += 1).would_block {}
            assert_eq!(heard, round * 10);
        }
        theirs.send_to(&[7; 20], bound(&ours)).expect("sent");
        ours.readable().await.expect("it wakes us still");
        ours.receive(|_, _| heard += 1);
        assert_eq!(heard, 31);
    });
}

#[test]
fn several_shards_share_one_port() {
    let sockets = open(address(LOOPBACK), 3).expect("three sockets");
    let addresses: BTreeSet<_> = sockets
        .iter()
        .map(|socket| socket.local_addr().expect("bound"))
        .collect();
    assert_eq!(addresses.len(), 1);
    assert!(addresses.iter().all(|address| address.port() != 0));
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let first = open(address(LOOPBACK), 1).expect("opens").remove(0);
    let taken = first.local_addr().expect("bound");
    let error = open(taken, 1).expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn datagrams_arrive_in_order_with_their_sender() {
    in_every_way(async |way| {
        let (mut left, mut right) = (socket(LOOPBACK, way).await, socket(LOOPBACK, way).await);
        let (mut other, mut queue) = (socket(LOOPBACK, way).await, queue(&left));
        for number in 0..60 {
            let to = if number % 3 == 0 { &other } else { &right };
            push(&mut queue, bound(to), number, 1 + usize::from(number));
        }
        let sent = left.flush(&mut queue);
        assert_eq!(
            (sent.datagrams, sent.errors, sent.bytes),
            (60, 0, 60 * 61 / 2)
        );
        assert!(queue.is_empty());
        let from = bound(&left);
        let expected = |numbers: &dyn Fn(&u8) -> bool| -> Vec<_> {
            let numbers = (0..60).filter(numbers);
            numbers
                .map(|number| (from, number, 1 + usize::from(number)))
                .collect()
        };
        let thirds = |number: &u8| number.is_multiple_of(3);
        assert_eq!(read(&mut other, 20).await, expected(&thirds));
        assert_eq!(read(&mut right, 40).await, expected(&|it| !thirds(it)));
    });
}

#[test]
fn one_unreachable_receiver_costs_nobody_else_a_datagram() {
    in_every_way(async |way| {
        let (mut left, mut right) = (socket(LOOPBACK, way).await, socket(LOOPBACK, way).await);
        let (good, mut queue) = (bound(&right), queue(&left));
        let (nowhere, other_family) = (address("127.0.0.1:0"), address("[::1]:9"));
        for to in [
            good,
            nowhere,
            other_family,
            good,
            // Runs that cannot be sent.
            nowhere,
            nowhere,
            nowhere,
            good,
            good,
            nowhere,
        ] {
            push(&mut queue, to, 1, 4);
        }
        let sent = left.flush(&mut queue);
        assert_eq!(
            (sent.datagrams, sent.errors, sent.would_block),
            (4, 6, false)
        );
        assert_eq!(read(&mut right, 4).await.len(), 4);
        // And nothing was given up for it.
        for _ in 0..2 {
            push(&mut queue, good, 2, 4);
        }
        let joined = if way.send_segments { 2 } else { 0 };
        assert_eq!(left.flush(&mut queue).joined, joined);
    });
}

#[test]
fn a_run_to_one_client_arrives_as_what_it_was() {
    in_every_way(async |way| {
        let (mut left, mut right) = (socket(LOOPBACK, way).await, socket(LOOPBACK, way).await);
        let mut queue = queue(&left);
        let lengths = [1200, 1200, 1200, 700, 700, 800, 1, 1225, 1225];
        for (number, length) in (0..).zip(lengths) {
            push(&mut queue, bound(&right), number, length);
        }
        let sent = left.flush(&mut queue);
        // 1200 1200 1200 700 | 700 | 800 1 | 1225 1225
        let joined = if way.send_segments { 8 } else { 0 };
        assert_eq!((sent.datagrams, sent.joined), (9, joined));
        let expected: Vec<_> = (0..)
            .zip(lengths)
            .map(|(number, length)| (bound(&left), number, length))
            .collect();
        assert_eq!(read(&mut right, 9).await, expected);
    });
}

#[test]
fn what_the_kernel_joins_is_counted_and_told_apart() {
    in_every_way(async |mut way| {
        let sender = Mechanisms::detect(PacketIo::Auto);
        way.receive_many &= sender.send_segments;
        let (mut left, mut right) = (socket(LOOPBACK, sender).await, socket(LOOPBACK, way).await);
        let mut queue = queue(&left);
        for number in 0..50 {
            push(
                &mut queue,
                bound(&right),
                number,
                1000 - usize::from(number / 49),
            );
        }
        left.flush(&mut queue);
        let (mut lengths, mut all) = (Vec::new(), Batch::default());
        while lengths.len() < 50 {
            right.readable().await.expect("readable");
            let batch = right.receive(|_, bytes| lengths.push((bytes[0], bytes.len())));
            all.joined += batch.joined;
            all.calls += batch.calls;
        }
        let expected: Vec<_> = (0..50).map(|n| (n, 1000 - usize::from(n / 49))).collect();
        assert_eq!(lengths, expected);
        let joins = way.receive_many && way.receive_joined;
        assert_eq!(all.joined, if joins { 50 } else { 0 });
        assert!(!joins || all.calls == 1, "{all:?}");
    });
}

#[test]
fn a_datagram_that_is_too_long_or_empty_is_handed_on_as_such() {
    in_every_way(async |way| {
        let mut right = socket(LOOPBACK, way).await;
        let left = plain();
        for length in [60_000, 0, RECEIVE_BUFFER + 1, RECEIVE_BUFFER, 5] {
            let sent = left.send_to(&vec![9; length], bound(&right));
            assert_eq!(sent.expect("sent"), length);
        }
        let lengths = read(&mut right, 5).await;
        let lengths: Vec<_> = lengths.into_iter().map(|(_, _, length)| length).collect();
        assert_eq!(
            lengths,
            [RECEIVE_BUFFER, 0, RECEIVE_BUFFER, RECEIVE_BUFFER, 5]
        );
    });
}

#[test]
fn a_socket_that_is_read_dry_wakes_for_what_comes_next() {
    in_every_way(async |way| {
        let mut right = socket(LOOPBACK, way).await;
        let left = plain();
        for turn in 0..5 {
            left.send_to(&[turn; 3], bound(&right)).expect("sent");
            assert_eq!(read(&mut right, 1).await[0].1, turn);
            let batch = right.receive(|_, _| panic!("nothing is there"));
            assert!(batch.would_block && batch.datagrams == 0);
        }
    });
}

#[test]
fn one_turn_reads_about_a_batch_and_leaves_the_rest_for_the_next() {
    in_every_way(async |way| {
        let mut right = socket(LOOPBACK, way).await;
        let left = plain();
        for _ in 0..3 * BATCH {
            left.send_to(&[1], bound(&right)).expect("sent");
        }
        right.readable().await.expect("readable");
        let batch = right.receive(|_, _| {});
        assert_eq!((batch.datagrams, batch.would_block), (BATCH as u64, false));
        assert_eq!(read(&mut right, 2 * BATCH).await.len(), 2 * BATCH);
    });
}

#[test]
fn a_full_queue_takes_no_more_and_calls_nobody() {
    let to = address("127.0.0.1:9");
    let mut queue = SendQueue::new(to);
    for _ in 0..BATCH {
        push(&mut queue, to, 1, SendQueue::DATAGRAM);
    }
    assert!(!queue.has_room());
    assert!(queue.push(|_| unreachable!("no buffer to offer")).is_none());
}

#[test]
fn a_dual_stack_socket_shows_ipv4_as_ipv4_and_answers_it() {
    in_every_way(async |way| {
        let mut dual = socket("[::]:0", way).await;
        let port = bound(&dual).port();
        let (mut client, mut six) = (socket(LOOPBACK, way).await, socket("[::1]:0", way).await);
        let mut from_client = queue(&client);
        push(
            &mut from_client,
            SocketAddr::new(address(LOOPBACK).ip(), port),
            7,
            5,
        );
        client.flush(&mut from_client);
        assert_eq!(read(&mut dual, 1).await, [(bound(&client), 7, 5)]);
        let mut queue = queue(&dual);
        for to in [&client, &client, &client, &six, &client, &six] {
            push(&mut queue, bound(to), 3, 3);
        }
        assert_eq!(dual.flush(&mut queue).datagrams, 6);
        assert_eq!(read(&mut client, 4).await.len(), 4);
        let from_dual = SocketAddr::new(address("[::1]:0").ip(), port);
        assert_eq!(read(&mut six, 2).await, [(from_dual, 3, 3); 2]);
    });
}

/// quinn-udp sets options of its own where the kernel is to join datagrams: this one stays.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_fragmented_and_no_path_is_believed_in_any_way() {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, ip_mtu_discover};
    in_every_way(async |way| {
        let socket = socket(LOOPBACK, way).await;
        let discovery = ip_mtu_discover(&socket.socket).expect("an option");
        assert_eq!(discovery, Ipv4PathMtuDiscovery::PROBE);
    });
}

#[test]
fn a_way_is_said_by_its_name_and_portable_means_nothing_else() {
    for way in PacketIo::ALL {
        assert_eq!(way.name().parse(), Ok(way));
    }
    assert!("fast".parse::<PacketIo>().is_err());
    assert_eq!(Mechanisms::detect(PacketIo::Portable), Mechanisms::NONE);
}

/// Linux 5.0 and later have all of it; a sandbox that forbids something makes this fail, and rightly so.
#[cfg(target_os = "linux")]
#[test]
fn linux_has_everything_and_auto_joins_nothing() {
    let all = Mechanisms::detect(PacketIo::Batch);
    assert!(all.receive_many && all.receive_joined && all.send_many && all.send_segments);
    let auto = Mechanisms::detect(PacketIo::Auto);
    assert_eq!(
        Mechanisms {
            receive_joined: true,
            ..auto
        },
        all
    );
}

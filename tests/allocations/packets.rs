//! Once warm, a datagram asks the allocator for nothing on its way through the socket, in any way there is.

use std::net::SocketAddr;

use tickwire::server::PacketIo;
use tickwire::server::socket::{Batch, Mechanisms, SendQueue, ShardSocket, open};

const ROUNDS: u64 = 50;

async fn socket(way: Mechanisms) -> ShardSocket {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = open(loopback, 1).expect("opens").remove(0);
    ShardSocket::new(socket, way).await.expect("registers")
}

/// Sends ten datagrams to each of two clients, runs and single ones.
fn send(from: &mut ShardSocket, to: [SocketAddr; 2], queue: &mut SendQueue) -> Batch {
    for number in 0..20_usize {
        let (to, length) = (to[number / 3 % 2], 100 + number % 5);
        let pushed = queue.push(|buffer| {
            buffer[..length].fill(7);
            Some((to, length))
        });
        pushed.expect("room");
    }
    from.flush(queue)
}

async fn converse(way: Mechanisms) {
    let (mut server, mut near, mut far) = (socket(way).await, socket(way).await, socket(way).await);
    let to = [&near, &far].map(|client| client.local_addr().expect("bound"));
    let mut queue = SendQueue::new(server.local_addr().expect("bound"));
    let (mut datagrams, mut allocations) = (0, 0);
    for round in 0..ROUNDS {
        let mut received = 0;
        let sent = allocation_counter::measure(|| {
            assert_eq!(send(&mut server, to, &mut queue).datagrams, 20);
        });
        for client in [&mut near, &mut far] {
            client.readable().await.expect("readable");
            let read = allocation_counter::measure(|| {
                received += client.receive(|_, _| {}).datagrams;
            });
            allocations += if round > 0 { read.count_total } else { 0 };
        }
        allocations += if round > 0 { sent.count_total } else { 0 };
        datagrams += received;
    }
    assert_eq!((datagrams, allocations), (20 * ROUNDS, 0), "{way:?}");
}

#[test]
fn a_warm_socket_asks_the_allocator_for_nothing() {
    for way in PacketIo::ALL {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(converse(Mechanisms::detect(way)));
    }
}

//! Sockets and what they say to each other, on loopback.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket as TokioSocket;

use super::*;

const LOOPBACK: &str = "127.0.0.1:0";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Runs `conversation` on a runtime of this thread.
fn on_a_runtime<F: Future>(conversation: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(conversation)
}

fn tokio_socket(text: &str) -> TokioSocket {
    let socket = open(address(text), 1).expect("opens").remove(0);
    TokioSocket::from_std(socket).expect("registers")
}

/// Reads until `count` datagrams came.
async fn read(socket: &TokioSocket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut buffer = [0; RECEIVE_BUFFER];
    let mut received = Vec::new();
    while received.len() < count {
        socket.readable().await.expect("readable");
        receive_batch(socket, &mut buffer, |from, bytes| {
            received.push((from, bytes.to_vec()))
        });
    }
    received
}

#[test]
fn several_shards_share_one_port() {
    let sockets = open(address(LOOPBACK), 3).expect("three sockets");
    let addresses: Vec<_> = sockets
        .iter()
        .map(|socket| socket.local_addr().expect("bound"))
        .collect();
    assert_ne!(addresses[0].port(), 0);
    assert!(addresses.iter().all(|address| *address == addresses[0]));
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
    on_a_runtime(async {
        let (left, right) = (tokio_socket(LOOPBACK), tokio_socket(LOOPBACK));
        let to = right.local_addr().expect("bound");
        left.writable().await.expect("writable");
        let mut queue = SendQueue::new(left.local_addr().expect("bound"));
        for number in 0..10 {
            queue
                .push(|buffer| {
                    buffer[0] = number;
                    Some((to, 1))
                })
                .expect("room");
        }
        let sent = queue.flush(&left);
        assert_eq!((sent.datagrams, sent.bytes, sent.errors), (10, 10, 0));
        let received = read(&right, 10).await;
        let expected: Vec<_> = (0..10)
            .map(|number| (left.local_addr().expect("bound"), vec![number]))
            .collect();
        assert_eq!(received, expected);
    });
}

#[test]
fn one_unreachable_receiver_costs_nobody_else_a_datagram() {
    on_a_runtime(async {
        let (left, right) = (tokio_socket(LOOPBACK), tokio_socket(LOOPBACK));
        let good = right.local_addr().expect("bound");
        left.writable().await.expect("writable");
        let mut queue = SendQueue::new(left.local_addr().expect("bound"));
        for to in [good, address("127.0.0.1:0"), address("[::1]:9"), good] {
            queue.push(|_| Some((to, 4))).expect("room");
        }
        let sent = queue.flush(&left);
        assert_eq!(
            (sent.datagrams, sent.errors, sent.would_block),
            (2, 2, false)
        );
        assert_eq!(read(&right, 2).await.len(), 2);
    });
}

#[test]
fn a_full_queue_takes_no_more_and_calls_nobody() {
    let to = address("127.0.0.1:9");
    let mut queue = SendQueue::new(to);
    for _ in 0..BATCH {
        queue.push(|_| Some((to, 1))).expect("room");
    }
    assert!(!queue.has_room());
    assert!(queue.push(|_| unreachable!("no buffer to offer")).is_none());
}

#[test]
fn a_dual_stack_socket_shows_ipv4_as_ipv4_and_answers_it() {
    on_a_runtime(async {
        let dual = tokio_socket("[::]:0");
        let port = dual.local_addr().expect("bound").port();
        let client = tokio_socket(LOOPBACK);
        let client_address = client.local_addr().expect("bound");
        client.writable().await.expect("writable");
        client
            .try_send_to(b"hello", SocketAddr::new(address(LOOPBACK).ip(), port))
            .expect("sent");
        let received = read(&dual, 1).await;
        assert_eq!(received, [(client_address, b"hello".to_vec())]);
        dual.writable().await.expect("writable");
        let mut queue = SendQueue::new(dual.local_addr().expect("bound"));
        queue.push(|_| Some((client_address, 3))).expect("room");
        assert_eq!(queue.flush(&dual).datagrams, 1);
        assert_eq!(read(&client, 1).await.len(), 1);
    });
}

//! Datagrams of many clients, through sockets of the loopback.

use std::net::UdpSocket;

use super::*;

fn server() -> (UdpSocket, SocketAddr) {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let address = server.local_addr().expect("bound");
    (server, address)
}

#[test]
fn only_who_has_something_to_read_is_told_of() {
    let readiness = Readiness::new().expect("epoll");
    let (server, to) = server();
    let perfect = ProfileConditions::default();
    let mut roads: Vec<_> = (0..300)
        .map(|number| {
            let place = number as usize;
            let opened = open((to, None), number, &readiness, place, perfect, 1);
            opened.expect("a socket").road
        })
        .collect();
    let (mut told, mut memory) = (Vec::new(), Told::default());
    readiness.each(OWN_AT_ONCE, &mut memory, |place| told.push(place));
    assert!(told.is_empty());

    roads[257].send_to(b"hello", to).expect("sent");
    let mut buffer = [0; 16];
    let (_, from) = server.recv_from(&mut buffer).expect("it arrives");
    assert_eq!(
        from.ip().to_string(),
        "127.64.1.1",
        "another network for each of 256"
    );
    server.send_to(b"hi", from).expect("sent");
    readiness.each(OWN_AT_ONCE, &mut memory, |place| told.push(place));
    assert_eq!(told, [257]);
    assert_eq!(
        roads[257].receive_from(&mut buffer).expect("works"),
        Some((2, to))
    );
    roads.clear();
    told.clear();
    readiness.each(OWN_AT_ONCE, &mut memory, |place| told.push(place));
    assert!(told.is_empty(), "closed sockets are not watched");
}

#[test]
fn an_address_says_whose_it_is() {
    for number in [0, 1, 255, 256, 16_383, 65_535] {
        for stay in [0, 1, 63] {
            assert_eq!(
                whose(address(number, stay).into()),
                Some((number, stay)),
                "{number} {stay}"
            );
        }
        assert_eq!(address(number, 64), address(number, 0), "it has come round");
    }
    for nobodys in ["127.0.0.1", "127.63.0.1", "127.128.0.1", "10.64.0.1", "::1"] {
        assert_eq!(whose(nobodys.parse().expect("an address")), None);
    }
}

/// A thread's end of shared sockets, and the clients on them.
struct Shop {
    hub: Hub,
    readiness: Readiness,
    told: Told,
}

impl Shop {
    fn new(server: SocketAddr, threads: usize) -> Self {
        Self {
            hub: Hub::new(server, threads),
            readiness: Readiness::new().expect("epoll"),
            told: Told::default(),
        }
    }

    fn open(&mut self, server: SocketAddr, number: u32, place: usize) -> Road {
        let ends = (server, Some(&mut self.hub));
        let conditions = ProfileConditions::default();
        let opened = open(ends, number, &self.readiness, place, conditions, 1);
        opened.expect("a lane").road
    }

    /// Reads all there is, and gives the places it was for, in order.
    fn receive(&mut self) -> Vec<usize> {
        let (mut sockets, mut places) = (Vec::new(), Vec::new());
        self.readiness
            .each(64, &mut self.told, |at| sockets.push(at));
        for at in sockets {
            while self.hub.receive(at, |place| places.push(place)) {}
        }
        places
    }
}

fn next(road: &mut Road) -> Option<Vec<u8>> {
    let mut buffer = [0; 2_048];
    let received = road.receive_from(&mut buffer).expect("works");
    received.map(|(length, _)| buffer[..length].to_vec())
}

#[test]
fn each_of_many_clients_on_few_sockets_gets_what_is_meant_for_it() {
    let (server, to) = server();
    let mut shop = Shop::new(to, 2);
    // The odd ones are another thread's.
    let numbers = || (0..400).step_by(2);
    let mut roads: Vec<_> = numbers()
        .enumerate()
        .map(|(place, number)| shop.open(to, number, place))
        .collect();
    assert!(shop.receive().is_empty());
    let mut ports = std::collections::BTreeSet::new();
    for (place, road) in roads.iter_mut().enumerate() {
        road.send_to(&[place as u8; 40], to).expect("sent");
        let mut buffer = [0; 64];
        let (length, from) = server.recv_from(&mut buffer).expect("it arrives");
        assert_eq!(buffer[..length], [place as u8; 40]);
        ports.insert(from.port());
        for again in 1..=2_u8 {
            let answer = [place as u8, again];
            server.send_to(&answer, from).expect("sent");
        }
    }
    assert_eq!(ports.len(), 200_usize.div_ceil(SEATS));
    assert_eq!(Sockets::Shared.count(400, 2), 2 * ports.len() as u64);
    let mut places = shop.receive();
    places.sort_unstable();
    assert_eq!(places, (0..200).collect::<Vec<_>>(), "each once");
    for (place, road) in roads.iter_mut().enumerate() {
        assert_eq!(next(road), Some(vec![place as u8, 1]));
        assert_eq!(next(road), Some(vec![place as u8, 2]));
        assert_eq!(next(road), None);
    }
    assert_eq!(shop.hub.take_errors(), 0);
}

/// A datagram that is late must not reach the session that the same client has by now.
#[test]
fn what_was_sent_to_an_earlier_stay_reaches_nobody() {
    let (server, to) = server();
    let mut shop = Shop::new(to, 1);
    let from_where = |shop: &mut Shop| {
        let mut road = shop.open(to, 5, 9);
        road.send_to(b"here", to).expect("sent");
        let from = server.recv_from(&mut [0; 16]).expect("it arrives").1;
        (road, from)
    };
    let (first, before) = from_where(&mut shop);
    server.send_to(b"read, not taken", before).expect("sent");
    assert_eq!(shop.receive(), [9]);
    drop(first);
    server.send_to(b"nobody is there", before).expect("sent");
    assert!(shop.receive().is_empty());
    let (mut second, after) = from_where(&mut shop);
    assert_ne!(before.ip(), after.ip());
    server.send_to(b"late", before).expect("sent");
    assert!(shop.receive().is_empty());
    assert_eq!(next(&mut second), None);
    server.send_to(b"now", after).expect("sent");
    assert_eq!(shop.receive(), [9]);
    assert_eq!(next(&mut second), Some(b"now".to_vec()));
}

#[test]
fn who_is_not_the_server_is_not_heard() {
    let (server, to) = server();
    let mut shop = Shop::new(to, 1);
    let mut road = shop.open(to, 0, 0);
    road.send_to(b"here", to).expect("sent");
    let (_, from) = server.recv_from(&mut [0; 16]).expect("it arrives");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    stranger.send_to(b"psst", from).expect("sent");
    // To the right port, on an address that is nobody's.
    let nobodys = SocketAddr::from(([127, 0, 0, 1], from.port()));
    server.send_to(b"psst", nobodys).expect("sent");
    assert!(shop.receive().is_empty());
    assert_eq!(next(&mut road), None);
}

/// A server gives several datagrams to one client in one piece, and the kernel may hand them on as one.
#[test]
fn joined_datagrams_are_taken_apart() {
    use quinn_udp::{Transmit, UdpSocketState};
    let (server, to) = server();
    let mut shop = Shop::new(to, 1);
    let mut road = shop.open(to, 0, 0);
    road.send_to(b"here", to).expect("sent");
    let (_, from) = server.recv_from(&mut [0; 16]).expect("it arrives");
    let state = UdpSocketState::new((&server).into()).expect("a socket");
    let transmit = Transmit {
        destination: from,
        ecn: None,
        contents: &[&[1; 1_200][..], &[2; 1_200], &[3; 500]].concat(),
        segment_size: Some(1_200),
        src_ip: None,
    };
    if state.try_send((&server).into(), &transmit).is_err() {
        // A system without segmentation sends nothing joined.
        return;
    }
    assert_eq!(shop.receive(), [0]);
    let lengths: Vec<_> = std::iter::from_fn(|| next(&mut road))
        .map(|it| (it[0], it.len()))
        .collect();
    assert_eq!(lengths, [(1, 1_200), (2, 1_200), (3, 500)]);
}

#[test]
fn a_server_that_is_not_on_the_loopback_is_refused_with_the_reason() {
    for elsewhere in ["192.0.2.7:7777", "[::1]:7777", "0.0.0.0:7777"] {
        let elsewhere = elsewhere.parse().expect("an address");
        let error = Sockets::try_sharing(elsewhere).expect_err("refused");
        assert!(error.to_string().contains("127.0.0.0/8"), "{error}");
    }
    assert_eq!(
        "both".parse::<Sockets>(),
        Err("allowed is own or shared".to_owned())
    );
}

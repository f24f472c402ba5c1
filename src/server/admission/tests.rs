//! Floods, fast players and forgers, in virtual time.

use super::*;
use core::time::Duration;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

fn admission() -> Admission {
    let cells = PrefixCells::new(&mut ChaCha8Rng::seed_from_u64(1));
    Admission::new(AdmissionConfig::default(), cells)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

const ADA: ClientSlot = ClientSlot {
    index: 3,
    generation: 7,
};

/// Strangers admitted out of `count` sent together.
fn burst(admission: &Admission, now: Timestamp, from: &str, count: usize) -> usize {
    (0..count)
        .filter(|_| admission.admit_stranger(now, ip(from)).is_ok())
        .count()
}

#[test]
fn a_prefix_gets_its_burst_and_then_its_rate() {
    let admission = admission();
    assert_eq!(
        burst(
            &admission,
            Timestamp::from_millis(1_000),
            "192.0.2.1",
            10_000
        ),
        4_000
    );
    // A second later two thousand more, from any host of that network.
    assert_eq!(
        burst(
            &admission,
            Timestamp::from_millis(2_000),
            "192.0.2.99",
            10_000
        ),
        2_000
    );
    // In the long run the rate and nothing more: 100 seconds of 3,000 a second.
    let admitted: usize = (1..=100)
        .map(|second| {
            let now = Timestamp::from_millis(2_000 + second * 1_000);
            burst(&admission, now, "192.0.2.7", 3_000)
        })
        .sum();
    assert_eq!(admitted, 200_000);
}

#[test]
fn a_flood_from_one_network_does_not_shut_out_another() {
    let admission = admission();
    let now = Timestamp::from_millis(5);
    assert_eq!(burst(&admission, now, "192.0.2.1", 5_000), 4_000);
    assert_eq!(burst(&admission, now, "198.51.100.1", 10), 10);
    assert_eq!(burst(&admission, now, "2001:db8:1::1", 5_000), 4_000);
    assert_eq!(burst(&admission, now, "2001:db8:1:ffff::1", 10), 0);
    assert_eq!(burst(&admission, now, "2001:db8:2::1", 10), 10);
}

#[test]
fn a_flood_from_everywhere_gets_what_all_strangers_get_together() {
    let admission = admission();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut refused = Vec::new();
    // A hundred thousand a second from all over IPv6, for two seconds.
    for number in 0..200_000 {
        let mut octets = [0; 16];
        rng.fill_bytes(&mut octets);
        let now = Timestamp::from_micros(1_000_000 + number * 10);
        refused.extend(admission.admit_stranger(now, IpAddr::from(octets)).err());
    }
    let admitted = 200_000 - refused.len();
    assert!((89_000..=90_001).contains(&admitted), "{admitted}");
    assert!(refused.iter().all(|crowd| *crowd == Crowd::Everybody));
}

#[test]
fn what_one_network_sends_too_much_of_is_no_charge_to_all() {
    let admission = admission();
    let now = Timestamp::from_millis(5);
    assert_eq!(burst(&admission, now, "192.0.2.1", 1_000_000), 4_000);
    assert_eq!(burst(&admission, now, "198.51.100.1", 4_000), 4_000);
}

#[test]
fn ipv4_seen_through_a_dual_stack_socket_is_ipv4() {
    assert_eq!(prefix(ip("::ffff:192.0.2.1")), prefix(ip("192.0.2.200")));
    assert_ne!(
        prefix(ip("::ffff:192.0.2.1")),
        prefix(ip("::ffff:198.51.100.1"))
    );
}

#[test]
fn shards_share_the_cells_so_that_the_limit_is_the_processes() {
    let cells = PrefixCells::new(&mut ChaCha8Rng::seed_from_u64(2));
    let left = Admission::new(AdmissionConfig::default(), cells.clone());
    let right = Admission::new(AdmissionConfig::default(), cells);
    let now = Timestamp::from_millis(77);
    assert_eq!(burst(&left, now, "192.0.2.1", 3_000), 3_000);
    assert_eq!(burst(&right, now, "192.0.2.1", 3_000), 1_000);
}

#[test]
fn forged_sources_do_not_grow_anything() {
    let admission = admission();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..100_000 {
        let mut octets = [0; 16];
        rng.fill_bytes(&mut octets);
        let _ = admission.admit_stranger(Timestamp::from_millis(1), IpAddr::from(octets));
    }
    assert_eq!(admission.players.len(), 0);
}

/// Sends `per_second` authenticated datagrams a second for `seconds`; the outcome of each second is
/// (accepted, limited), until the player is expelled.
fn play(admission: &mut Admission, per_second: u64, seconds: u64) -> (u64, u64, Option<u64>) {
    let (mut accepted, mut limited) = (0, 0);
    for number in 0..per_second * seconds {
        let now = Timestamp::from_micros(1_000_000 + number * 1_000_000 / per_second);
        if !admission.admits_player(now, ADA) {
            limited += 1;
            continue;
        }
        match admission.charge(now, ADA, 60) {
            Charge::Within => accepted += 1,
            Charge::Over(_) | Charge::Warn(_) => limited += 1,
            Charge::Expel => return (accepted, limited, Some(number / per_second)),
        }
    }
    (accepted, limited, None)
}

#[test]
fn a_client_at_four_times_the_usual_rate_is_never_limited() {
    let mut admission = admission();
    assert_eq!(play(&mut admission, 240, 600), (240 * 600, 0, None));
}

#[test]
fn a_client_far_over_its_allowance_is_held_to_it_and_then_expelled() {
    let mut admission = admission();
    let (accepted, limited, expelled) = play(&mut admission, 24_000, 60);
    assert_eq!(expelled, Some(5));
    // The burst, and five seconds of the rate.
    assert!((1_400..=1_450).contains(&accepted), "accepted {accepted}");
    assert!(limited > 100_000, "limited {limited}");
}

#[test]
fn an_excess_now_and_then_is_forgiven() {
    let mut admission = admission();
    for minute in 0..30 {
        // One second at ten times the rate, then a quiet minute.
        for number in 0..2_400 {
            let now = Timestamp::from_micros(minute * 60_000_000 + number * 416);
            if admission.admits_player(now, ADA) {
                assert_ne!(admission.charge(now, ADA, 60), Charge::Expel);
            }
        }
    }
}

#[test]
fn bytes_are_limited_too() {
    let mut admission = admission();
    let now = Timestamp::from_millis(10);
    let within = (0..240)
        .take_while(|_| admission.charge(now, ADA, 1_225) == Charge::Within)
        .count();
    assert_eq!(within, 96 * 1024 / 1_225);
    assert!(!admission.admits_player(now, ADA));
    assert!(admission.admits_player(now + Duration::from_millis(20), ADA));
}

#[test]
fn forged_datagrams_cost_a_player_nothing() {
    let mut admission = admission();
    let now = Timestamp::from_millis(10);
    // A forger asks with the player's address as often as it likes: only `charge` counts.
    for _ in 0..100_000 {
        assert!(admission.admits_player(now, ADA));
    }
    assert_eq!(admission.charge(now, ADA, 60), Charge::Within);
}

#[test]
fn the_next_player_in_a_place_starts_fresh() {
    let mut admission = admission();
    let now = Timestamp::from_millis(10);
    while admission.charge(now, ADA, 60) == Charge::Within {}
    assert!(!admission.admits_player(now, ADA));
    let next = ClientSlot {
        generation: 8,
        ..ADA
    };
    assert!(admission.admits_player(now, next));
    assert_eq!(admission.charge(now, next, 60), Charge::Within);
}

#[test]
fn a_warning_comes_once_in_each_second_of_excess() {
    let mut admission = admission();
    let mut warnings = 0;
    for number in 0..3_000 {
        let now = Timestamp::from_millis(10_000 + number);
        let charge = admission.charge(now, ADA, 60);
        warnings += u32::from(matches!(charge, Charge::Warn(Limit::Datagrams)));
    }
    assert_eq!(warnings, 3);
}

#[test]
fn other_limits_count_from_where_strangers_are_and_give_players_a_fresh_start() {
    let mut admission = admission();
    let now = Timestamp::from_millis(1_000);
    assert_eq!(burst(&admission, now, "192.0.2.1", 10_000), 4_000);
    while admission.charge(now, ADA, 100) == Charge::Within {}
    let wider = AdmissionConfig {
        strangers: Allowance::new(2_000, 6_000),
        player_datagrams: Allowance::new(500, 500),
        ..AdmissionConfig::default()
    };
    admission.set_config(wider);
    assert_eq!(burst(&admission, now, "192.0.2.1", 10_000), 2_000);
    let fresh = (0..1_000)
        .filter(|_| admission.charge(now, ADA, 100) == Charge::Within)
        .count();
    assert_eq!(fresh, 500);
    // The same again changes nothing.
    admission.set_config(wider);
    assert_ne!(admission.charge(now, ADA, 100), Charge::Within);
}

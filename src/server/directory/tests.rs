//! The directory's rules one by one, and all of them at once from many threads.

use super::*;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashSet;
use std::thread;

fn claim(client: u64, token: u64) -> Claim {
    let mut mac = [0; 16];
    mac[..8].copy_from_slice(&token.to_le_bytes());
    Claim {
        client: ClientId(client),
        token: TokenMac(mac),
        token_expires: UnixTime(10_000),
        now: UnixTime(9_000),
    }
}

fn resident(slot: ClientSlot, client: u64) -> Resident {
    Resident {
        slot,
        client: ClientId(client),
        address: SocketAddr::from(([127, 0, 0, 1], client as u16)),
        shard: 1,
        since: Timestamp::ZERO,
    }
}

#[test]
fn a_token_is_used_once_even_after_its_client_left() {
    let directory = Directory::new(4);
    let slot = directory.seat(&claim(1, 1)).expect("a place");
    assert_eq!(directory.seat(&claim(2, 1)), Err(SeatRefusal::TokenUsed));
    directory.release(slot);
    assert_eq!(directory.check(&claim(1, 1)), Err(SeatRefusal::TokenUsed));
    assert_eq!(directory.seat(&claim(1, 1)), Err(SeatRefusal::TokenUsed));
    assert!(directory.seat(&claim(1, 2)).is_ok());
}

#[test]
fn a_refused_claim_leaves_no_trace() {
    let directory = Directory::new(1);
    let first = directory.seat(&claim(1, 1)).expect("a place");
    assert_eq!(directory.seat(&claim(1, 2)), Err(SeatRefusal::ClientSeated));
    assert_eq!(directory.check(&claim(2, 3)), Err(SeatRefusal::ServerFull));
    assert_eq!(directory.seat(&claim(2, 3)), Err(SeatRefusal::ServerFull));
    assert_eq!((directory.seated(), directory.used_tokens()), (1, 1));
    directory.release(first);
    // The very tokens that were refused are still good.
    let second = directory.seat(&claim(2, 3)).expect("a place");
    directory.release(second);
    assert!(directory.seat(&claim(1, 2)).is_ok());
}

#[test]
fn a_place_that_is_given_again_has_a_new_generation_and_an_old_goodbye_frees_nothing() {
    let directory = Directory::new(1);
    let first = directory.seat(&claim(1, 1)).expect("a place");
    directory.release(first);
    let second = directory.seat(&claim(2, 2)).expect("a place");
    assert_eq!(
        second,
        ClientSlot {
            index: first.index,
            generation: first.generation + 1
        }
    );
    directory.release(first);
    directory.release(ClientSlot {
        index: 99,
        generation: 0,
    });
    assert_eq!(directory.seated(), 1);
    assert_eq!(directory.slot_of(ClientId(2)), Some(second));
}

#[test]
fn who_leaves_is_gone_from_the_roster_and_nobody_enters_late() {
    let directory = Directory::new(2);
    let slot = directory.seat(&claim(1, 1)).expect("a place");
    let ada = resident(slot, 1);
    directory.enter(ada);
    assert_eq!(directory.roster(), [ada]);
    assert_eq!(directory.shard_of(ada.address), Some(1));
    assert_eq!(directory.resident(slot), Some(ada));
    directory.release(slot);
    directory.enter(ada);
    assert_eq!(directory.roster(), []);
    assert_eq!(directory.shard_of(ada.address), None);
}

#[test]
fn a_ban_finds_who_is_seated_and_lasts_until_it_is_lifted() {
    let directory = Directory::new(2);
    let slot = directory.seat(&claim(1, 1)).expect("a place");
    assert_eq!(directory.ban(ClientId(1)), Some(slot));
    assert_eq!(directory.ban(ClientId(2)), None);
    assert!(directory.is_banned(ClientId(1)));
    assert!(directory.lift_ban(ClientId(1)));
    assert!(!directory.lift_ban(ClientId(1)));
}

#[test]
fn a_full_token_store_refuses_and_forgets_only_what_expired() {
    let directory = Directory::with_token_limit(10, 2);
    assert!(directory.seat(&claim(1, 1)).is_ok());
    let long = Claim {
        token_expires: UnixTime(20_000),
        ..claim(2, 2)
    };
    assert!(directory.seat(&long).is_ok());
    assert_eq!(
        directory.seat(&claim(3, 3)),
        Err(SeatRefusal::TokenStoreFull)
    );
    // At 10,000 the first token has expired: its place in the store is free, the second's is not.
    let later = |client, token| Claim {
        now: UnixTime(10_000),
        token_expires: UnixTime(20_000),
        ..claim(client, token)
    };
    assert!(directory.seat(&later(3, 3)).is_ok());
    assert_eq!(
        directory.seat(&later(4, 4)),
        Err(SeatRefusal::TokenStoreFull)
    );
    assert_eq!(directory.seat(&later(4, 2)), Err(SeatRefusal::TokenUsed));
}

#[test]
fn a_calendar_that_is_set_back_brings_no_used_token_to_life() {
    let directory = Directory::with_token_limit(10, 1);
    let slot = directory.seat(&claim(1, 1)).expect("a place");
    directory.release(slot);
    let tomorrow = Claim {
        now: UnixTime(100_000),
        token_expires: UnixTime(100_100),
        ..claim(2, 2)
    };
    assert!(
        directory.seat(&tomorrow).is_ok(),
        "the first token is forgotten by now"
    );
    // The calendar was wrong: it is 9,000 again, and the first token has not expired.
    assert_eq!(directory.seat(&claim(1, 1)), Err(SeatRefusal::TokenUsed));
}

#[test]
fn within_an_hour_after_its_expiry_a_token_is_still_remembered() {
    let directory = Directory::new(10);
    assert!(directory.seat(&claim(1, 1)).is_ok());
    let at = |now, client| Claim {
        now: UnixTime(now),
        token_expires: UnixTime(now + 100),
        ..claim(client, client)
    };
    assert!(directory.seat(&at(10_000 + GRACE_SECONDS - 1, 2)).is_ok());
    assert_eq!(directory.used_tokens(), 2);
    assert!(directory.seat(&at(10_000 + GRACE_SECONDS, 3)).is_ok());
    assert_eq!(directory.used_tokens(), 2);
}

/// Every rule at once, from many threads: the plain statement is a set and a few counters.
#[test]
fn under_races_every_token_seats_once_and_no_place_is_given_twice() {
    const THREADS: u64 = 8;
    const PLACES: u32 = 16;
    const TOKENS: u64 = 4_000;
    let directory = Directory::new(PLACES);
    let taken: Vec<AtomicUsize> = (0..PLACES).map(|_| AtomicUsize::new(0)).collect();
    let clients: Vec<AtomicUsize> = (0..40).map(|_| AtomicUsize::new(0)).collect();
    let seated: Vec<(u64, ClientSlot)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (directory, taken, clients) = (&directory, &taken, &clients);
                scope.spawn(move || {
                    let mut seated = Vec::new();
                    for token in 0..TOKENS {
                        // The same token in the hands of different clients, at about the same time.
                        let client = (token + worker * 5) % 40;
                        let Ok(slot) = directory.seat(&claim(client, token)) else {
                            continue;
                        };
                        let place = &taken[slot.index as usize];
                        let seat = &clients[client as usize];
                        assert_eq!(place.fetch_add(1, Ordering::SeqCst), 0, "place shared");
                        assert_eq!(seat.fetch_add(1, Ordering::SeqCst), 0, "client twice");
                        directory.enter(resident(slot, client));
                        assert!(directory.seated() <= PLACES as usize);
                        thread::yield_now();
                        place.fetch_sub(1, Ordering::SeqCst);
                        seat.fetch_sub(1, Ordering::SeqCst);
                        directory.release(slot);
                        seated.push((token, slot));
                    }
                    seated
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("no panic"))
            .collect()
    });
    let tokens: HashSet<_> = seated.iter().map(|(token, _)| token).collect();
    let slots: HashSet<_> = seated.iter().map(|(_, slot)| slot).collect();
    assert_eq!(tokens.len(), seated.len(), "a token seated twice");
    assert_eq!(slots.len(), seated.len(), "a slot given twice");
    assert!(
        seated.len() > TOKENS as usize / 2,
        "only {} seated",
        seated.len()
    );
    assert_eq!(directory.seated(), 0);
    assert_eq!(directory.used_tokens(), seated.len());
    assert_eq!(directory.roster(), []);
    assert!(directory.addresses.is_empty() && directory.clients.is_empty());
}

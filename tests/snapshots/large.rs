//! As many entities as there may be, and several threads on one frame.

use std::collections::VecDeque;
use std::sync::Arc;

use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::verify::check_replica;
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, MAX_PARTS, Quantity,
    Replica, Schema, Scratch, Snapshot, TickFrame, Viewpoint,
};
use tickwire::time::Tick;

use crate::sim::view;

fn history(entities: u32) -> FrameHistory {
    let number = |name: &str| Field::new(name, Quantity::Unsigned { bits: 9 }, Blend::Step);
    let schema = Schema::new(vec![Kind::new("thing", vec![number("a"), number("b")])]);
    let schema = schema.and_then(|schema| schema.with_max_entities(entities));
    let config = FrameConfig {
        snapshot_every: 1,
        cell_size: 50.0,
    };
    FrameHistory::new(Arc::new(schema.expect("valid")), config).expect("valid")
}

/// Every slot in use; in each tick one thing in a thousand has changed.
fn publish(
    history: &mut FrameHistory,
    tick: u32,
    entities: u32,
    clients: &[ClientSlot],
) -> Arc<TickFrame> {
    let mut builder = history.begin(Tick(tick)).expect("in order");
    for slot in 0..entities {
        let id = EntityId {
            slot: slot as u16,
            generation: slot as u16,
        };
        let at = [(slot % 256) as f32, (slot / 256) as f32, 0.0];
        let changes = (tick + slot) / 1_000;
        let values = [(slot % 512) as i32, (changes % 512) as i32];
        builder.put(id, KindId(0), at, &values).expect("valid");
    }
    for client in clients {
        let center = [128.0, 128.0, 0.0];
        builder.view(*client, Viewpoint::at(center));
    }
    history.publish(builder)
}

const fn client(index: u32) -> ClientSlot {
    ClientSlot {
        index,
        generation: 0,
    }
}

#[test]
fn sixty_five_thousand_entities_are_told_to_one_client() {
    const ENTITIES: u32 = Schema::MAX_ENTITIES;
    let mut history = history(ENTITIES);
    let config = view(10_000.0, MAX_PARTS * 1_100);
    let mut server = ClientView::new(client(0), config);
    let mut replica = Replica::new(Arc::clone(history.schema()), 1);
    let mut scratch = Scratch::new();
    let (mut number, mut out) = (0, [0; 1_100]);
    let mut acks = VecDeque::new();
    for tick in 1..400 {
        let frame = publish(&mut history, tick, ENTITIES, &[client(0)]);
        while acks.front().is_some_and(|(due, _)| *due <= tick) {
            let (_, number) = acks.pop_front().expect("just seen");
            server.acked(number);
        }
        server.begin(&frame, &mut scratch);
        loop {
            number += 1;
            let len = server.write_part(number, &mut out, &mut scratch);
            if len == 0 {
                break;
            }
            replica.receive(&out[..len]).expect("our own");
            acks.push_back((tick + 2, number));
        }
        let newest = replica.newest().expect("it was told something");
        if newest.is_complete() {
            let found = check_replica(newest, |_| Some(Arc::clone(&frame)), client(0), &config);
            assert_eq!(found.map(|found| found.entities), Ok(ENTITIES as usize));
            println!("complete at tick {tick}, {:?}", server.stats());
            return;
        }
    }
    let newest = replica.newest().map(Snapshot::len);
    panic!(
        "not complete in 400 snapshots: {newest:?}, {:?}",
        server.stats()
    );
}

#[test]
fn threads_that_need_the_same_cohort_build_it_once() {
    const CLIENTS: u32 = 64;
    let mut history = history(4_000);
    let slots: Vec<_> = (0..CLIENTS).map(client).collect();
    let views = slots
        .iter()
        .map(|slot| ClientView::new(*slot, view(114.0, 1_100)));
    let mut views: Vec<_> = views.collect();
    for tick in 1..40 {
        let frame = publish(&mut history, tick, 4_000, &slots);
        std::thread::scope(|scope| {
            for shard in views.chunks_mut(16) {
                let frame = Arc::clone(&frame);
                scope.spawn(move || {
                    let (mut scratch, mut out) = (Scratch::new(), [0; 1_100]);
                    for view in shard {
                        view.begin(&frame, &mut scratch);
                        let number = u64::from(tick);
                        assert!(view.write_part(number, &mut out, &mut scratch) > 0);
                        view.acked(number);
                    }
                });
            }
        });
        let stats = frame.cohort_stats();
        // Until there is a baseline two snapshots before the baseline, all is told from that alone.
        assert_eq!(stats.built, u32::from(tick > 3), "{stats:?}");
        assert_eq!(stats.plain > 0, tick == 2 || tick == 3, "{stats:?}");
        // A view of nobody would build nothing, and show nothing.
        assert!(stats.absolute > 0 || tick > 1, "{stats:?}");
        // Each entity at most once, and each of the others may have waited for it.
        let entities = frame.len() as u32;
        let encoded = stats.built + stats.plain + stats.absolute;
        let few = stats.absolute <= entities && stats.plain <= entities;
        assert!(few && stats.waited <= 8 * encoded, "{stats:?}");
    }
}

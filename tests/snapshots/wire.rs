//! Two parts, bit by bit, written by hand from the description in `part.rs`: whoever reads that
//! could write the other end.

use std::sync::Arc;

use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Replica, Schema,
    Scratch, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

use crate::bits;

const CLIENT: ClientSlot = ClientSlot {
    index: 0,
    generation: 0,
};

/// Sixteen slots (four bits), one kind (no bits) of two flags and a number of twelve bits.
fn schema() -> Arc<Schema> {
    let fields = vec![
        Field::new("flags", Quantity::Flags { bits: 2 }, Blend::Step),
        Field::new("number", Quantity::Unsigned { bits: 12 }, Blend::Step),
    ];
    let schema = Schema::new(vec![Kind::new("thing", fields)]);
    Arc::new(
        schema
            .and_then(|schema| schema.with_max_entities(16))
            .expect("valid"),
    )
}

/// Publishes the things of a tick, by slot, and returns the part that tells them.
fn tell(
    history: &mut FrameHistory,
    view: &mut ClientView,
    tick: u32,
    things: &[(u16, [i32; 2])],
) -> Vec<u8> {
    let mut builder = history.begin(Tick(tick)).expect("in order");
    for (slot, values) in things {
        let id = EntityId {
            slot: *slot,
            generation: 5,
        };
        builder.put(id, KindId(0), [0.0; 3], values).expect("valid");
    }
    builder.view(CLIENT, Viewpoint::at([0.0; 3]));
    let frame = history.publish(builder);
    let (mut out, mut scratch) = ([0; 1_200], Scratch::new());
    view.begin(&frame, &mut scratch);
    let len = view.write_part(u64::from(tick), &mut out, &mut scratch);
    assert_eq!(
        view.write_part(u64::from(tick) + 1, &mut out, &mut scratch),
        0
    );
    out[..len].to_vec()
}

#[test]
fn a_part_is_what_the_description_says() {
    let config = FrameConfig {
        snapshot_every: 2,
        cell_size: 8.0,
    };
    let mut history = FrameHistory::new(schema(), config).expect("valid");
    let mut view = ClientView::new(CLIENT, ViewConfig::default());
    let mut replica = Replica::new(schema(), 2);

    let part = tell(&mut history, &mut view, 2, &[(3, [1, 0]), (9, [0, 7])]);
    let by_hand = bits(concat!(
        "0100000000000000 00000 0000000000000000 1 1 ", // tick 2, no baseline, all slots, done
        "100 ",                                         // left: none
        "101 010 ",                                     // entered: two, order 2
        "111 1010000000000000 10 10 ",                  // slot 3: generation 5, flags: 1
        "0 1 0 10 1010000000000000 01 111000000000 ",   // five passed over: slot 9, number: 7
        "100 100",                                      // changed, deferred: none
    ));
    assert_eq!(part, by_hand);
    replica.receive(&part).expect("our own");
    view.acked(2);

    let part = tell(&mut history, &mut view, 4, &[(3, [1, 3])]);
    let by_hand = bits(concat!(
        "0010000000000000 10000 00 1 1 ", // tick 4, one snapshot after its baseline alone
        "110 000 010 1 ",                 // left: one, order 0; one passed over; destroyed
        "100 ",                           // entered: none
        "110 000 1 01 00 1010 ",          // changed: the first, its number, by 3: residual 5
        "100",                            // deferred: none
    ));
    assert_eq!(part, by_hand);
    assert!(replica.receive(&part).expect("our own").complete);
    let held = replica.newest().and_then(|snapshot| snapshot.entity(3));
    assert_eq!(held.map(|entity| entity.values), Some(&[1, 3][..]));
}

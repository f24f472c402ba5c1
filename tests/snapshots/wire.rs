//! Three parts, bit by bit, written by hand from the descriptions in `part.rs` and `codec/chunk.rs`:
//! whoever reads these could write the other end.
//!
//! The tables are written by hand too, so that nothing here depends on how the built-in ones are tuned.

use std::sync::Arc;

use tickwire::id::{ClientSlot, EntityId};
use tickwire::proto::snapshot::{
    Blend, ClientView, Field, FrameConfig, FrameHistory, Kind, KindId, Quantity, Replica, Schema,
    Scratch, Tables, ViewConfig, Viewpoint,
};
use tickwire::time::Tick;

use crate::bits;

const CLIENT: ClientSlot = ClientSlot {
    index: 0,
    generation: 0,
};

/// Sixteen slots (four bits), one kind (no bits) of two flags and a number of twelve bits.
pub(crate) fn schema() -> Arc<Schema> {
    let fields = vec![
        Field::new("flags", Quantity::Flags { bits: 2 }, Blend::Step),
        Field::new("number", Quantity::Unsigned { bits: 12 }, Blend::Step),
    ];
    let schema = Schema::new(vec![Kind::new("thing", fields)])
        .and_then(|schema| schema.with_max_entities(16))
        .expect("valid");
    let tables = Tables::from_bytes(&schema, &tables(&schema)).expect("by hand, and valid");
    Arc::new(schema.with_tables(tables).expect("made for this schema"))
}

/// One snapshot back is the earlier tick, two the earliest; three codes; all contexts have the
/// same one.
pub(crate) fn tables(schema: &Schema) -> Vec<u8> {
    // What they are made for is the only thing that is not written down here.
    let mut bytes = schema.tables().to_bytes()[..16].to_vec();
    bytes.extend([1, 2, 3]);
    // Five symbols of 4, 1, 2, 3, 4 bits: 1110, 0, 10, 110, 1111.
    bytes.extend([4, 0, 4, 0, 1, 0, 2, 0, 3, 0, 4]);
    // 64 symbols of 6 bits. 87 symbols: 41 of 6 bits, 46 of 7.
    bytes.extend([63, 63, 6, 86, 40, 6, 45, 7]);
    // Defaults, no mode; one piece of at most 4 masks: steps of 1, four masks with a symbol each.
    bytes.extend([0, 0, 0, 4, 0, 4, 0, 0, 1, 0, 2, 0, 3, 0]);
    // Their code, no map; whoever moves or does not, in all four contexts, is coded.
    bytes.extend([0, 0, 3, 0]);
    // The codes of the flags and of the number.
    bytes.extend([1, 0, 2, 0]);
    bytes
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
        "1 0 ",                                         // moves; left: none
        "1 110 010 ",                                   // entered: two, order 2
        "111 110100000 110 000001 ",                    // slot 3: generation 5, flags: 1
        "0 1 0 10 110100000 10 010011 ",                // five passed over: slot 9, number: 7
        "0 0",                                          // deferred, others: none
    ));
    assert_eq!(part, by_hand);
    replica.receive(&part).expect("our own");
    view.acked(2);

    let part = tell(&mut history, &mut view, 4, &[(3, [1, 3])]);
    let by_hand = bits(concat!(
        "0010000000000000 10000 00 1 1 ", // tick 4, one snapshot after its baseline alone
        "1 1 100 000 010 1 ",             // moves; left: one, order 0; one passed over; destroyed
        "0 0 ",                           // entered, deferred: none
        "1 100 000 1 10 001111",          // others: the first, its number, by 3
    ));
    assert_eq!(part, by_hand);
    assert!(replica.receive(&part).expect("our own").complete);
    let held = replica.newest().and_then(|snapshot| snapshot.entity(3));
    assert_eq!(held.map(|entity| entity.values), Some(&[1, 3][..]));
    view.acked(4);

    let part = tell(&mut history, &mut view, 6, &[(3, [2, 10])]);
    let by_hand = bits(concat!(
        "0110000000000000 10000 10 1 1 0 ", // tick 6, from 4 and 2; nobody moves
        "1111 000011 010011 ", // coded: both its flags are others, its number is 7 more
        "0 0 0",               // busy, quiet, others: none
    ));
    assert_eq!(part, by_hand);
    assert!(replica.receive(&part).expect("our own").complete);
    let held = replica.newest().and_then(|snapshot| snapshot.entity(3));
    assert_eq!(held.map(|entity| entity.values), Some(&[2, 10][..]));
}

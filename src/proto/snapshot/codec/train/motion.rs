//! Weights by least squares, drawn towards the least absolute error; levels by how far off they are.

use std::collections::BTreeMap;

use super::super::context::{Context, Past};
use super::super::motion::{
    self, AGES, MAX_WEIGHT, Quaternion, SPEEDS, TURNS, Times, WEIGHT_CLASSES, Ways, age_class, way,
};
use super::super::shape::Manner;
use super::super::tables::{FROM_NOTHING, GroupTables, KindTables, LEVELS, Tables};
use super::world::{Sample, World};

/// Weights are found, looked at, and found again so many times.
const ROUNDS: usize = 3;
/// What a weight of one is.
const ONE: f64 = 65_536.0;

/// Learns weights and levels of all groups.
pub(super) fn learn(tables: &mut Tables, world: &World) {
    for _ in 0..ROUNDS {
        let found = weights(tables, world);
        for (key, weight) in found {
            let group = &mut tables.kinds[key.kind].groups[key.group];
            let place = (key.age * WEIGHT_CLASSES + key.class) * group.axes + key.axis;
            group.weights[place] = weight;
        }
        for group in tables.kinds.iter_mut().flat_map(|kind| &mut kind.groups) {
            fill_weights(group);
        }
    }
    levels(tables, world);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: usize,
    group: usize,
    age: usize,
    class: usize,
    axis: usize,
}

/// Sums for the least squares of four weights.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    products: [[f64; 5]; 4],
    count: f64,
}

impl Sums {
    fn add(&mut self, ways: [f64; 4], target: f64, share: f64) {
        for (row, way) in self.products.iter_mut().zip(ways) {
            for (sum, other) in row.iter_mut().zip(ways) {
                *sum += share * way * other;
            }
            row[4] += share * way * target;
        }
        self.count += 1.0;
    }

    /// The weights, with a slight pull towards none.
    fn solve(&self) -> Option<[f64; 4]> {
        if self.count < 24.0 {
            return None;
        }
        let mut rows = self.products;
        let trace: f64 = (0..4).map(|place| rows[place][place]).sum();
        for (place, row) in rows.iter_mut().enumerate() {
            row[place] += 1e-4 * trace + 1e-3;
        }
        for place in 0..4 {
            let pivot = (place..4).max_by(|one, other| {
                rows[*one][place]
                    .abs()
                    .total_cmp(&rows[*other][place].abs())
            })?;
            rows.swap(place, pivot);
            let lead = rows[place];
            for (other, row) in rows.iter_mut().enumerate() {
                if other != place {
                    let factor = row[place] / lead[place];
                    for (cell, lead) in row.iter_mut().zip(lead) {
                        *cell -= factor * lead;
                    }
                }
            }
        }
        let solution = core::array::from_fn(|place| rows[place][4] / rows[place][place]);
        solution
            .iter()
            .all(|weight: &f64| weight.is_finite())
            .then_some(solution)
    }
}

fn weights(tables: &Tables, world: &World) -> Vec<(Key, [i32; 4])> {
    let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
    world.each_full(tables.lags, |sample| {
        let Some(times) = times(tables, &sample) else {
            return;
        };
        let kind = &tables.kinds[sample.kind];
        for (place, group) in kind.groups.iter().enumerate() {
            let key = Key {
                kind: sample.kind,
                group: place,
                age: age_class(times.age),
                class: 0,
                axis: 0,
            };
            match group.group.manner {
                Manner::Line => add_line(kind, group, &sample, &times, key, &mut sums),
                Manner::Rotation => add_rotation(kind, group, &sample, &times, key, &mut sums),
                Manner::Plain => {}
            }
        }
    });
    let whole = |weight: f64| ((weight * ONE).round() as i32).clamp(-MAX_WEIGHT, MAX_WEIGHT);
    let mut found: Vec<_> = sums
        .into_iter()
        .filter_map(|(key, sums)| Some((key, sums.solve()?.map(whole))))
        .collect();
    found.sort_by_key(|(key, _)| (key.kind, key.group, key.age, key.class, key.axis));
    found
}

fn times(tables: &Tables, sample: &Sample<'_>) -> Option<Times> {
    let Past::Full { age, .. } = sample.past else {
        return None;
    };
    let span = tables.lags.earliest - tables.lags.earlier;
    Some(Times {
        age,
        earlier: tables.lags.earlier,
        earliest: span,
        usual: span,
    })
}

fn rows<'w>(sample: &Sample<'w>) -> Option<[&'w [i32]; 3]> {
    match sample.past {
        Past::Full {
            base,
            earlier,
            earliest,
            ..
        } => Some([base, earlier, earliest?]),
        _ => None,
    }
}

fn raw(kind: &KindTables, row: &[i32], field: usize) -> u32 {
    match (kind.codings.get(field), row.get(field)) {
        (Some(coding), Some(value)) => coding.raw(*value),
        _ => 0,
    }
}

fn add_line(
    kind: &KindTables,
    group: &GroupTables,
    sample: &Sample<'_>,
    times: &Times,
    key: Key,
    sums: &mut BTreeMap<Key, Sums>,
) {
    let Some([base, earlier, earliest]) = rows(sample) else {
        return;
    };
    let fields = &group.group.fields;
    let of = |field: usize| {
        let raw = |row| raw(kind, row, field);
        (raw(base), raw(earlier), raw(earliest))
    };
    let ways: Vec<Ways> = fields
        .iter()
        .map(|field| Ways::new(kind.codings[*field], of(*field), times))
        .collect();
    let pace = motion::pace(&ways, times);
    let moved = |ways: &Ways| ways.late != 0 || ways.early != 0;
    if !ways.iter().any(moved) {
        return;
    }
    let age = f64::from(times.age);
    for (member, field) in fields.iter().enumerate() {
        let velocity = group.group.velocities[member].map_or((0, 0), |field| {
            let (now, then) = (raw(kind, base, field), raw(kind, earlier, field));
            let now = i64::from(now);
            (now - kind.zeros[field], now - i64::from(then))
        });
        let regressors = [
            ways[member].late as f64 * age,
            ways[member].early as f64 * age,
            velocity.0 as f64 * age,
            velocity.1 as f64 * age,
        ];
        let coding = kind.codings[*field];
        let target = way(coding, of(*field).0, raw(kind, sample.now, *field)) as f64;
        let class = pace.weight_class();
        let weight = group.weights(key.age, class, member);
        let guess: f64 = weight
            .iter()
            .zip(regressors)
            .map(|(of, way)| f64::from(*of) / ONE * way)
            .sum();
        let key = Key {
            class,
            axis: member,
            ..key
        };
        let share = 1.0 / ((target - guess).abs() + 1.0);
        sums.entry(key).or_default().add(regressors, target, share);
    }
}

fn add_rotation(
    kind: &KindTables,
    group: &GroupTables,
    sample: &Sample<'_>,
    times: &Times,
    key: Key,
    sums: &mut BTreeMap<Key, Sums>,
) {
    let Some(rows) = rows(sample) else {
        return;
    };
    let ball = &group.ball;
    let whole = |row: &[i32]| -> Quaternion {
        let fields = &group.group.fields;
        motion::unpack(
            ball,
            core::array::from_fn(|place| raw(kind, row, fields[place])),
        )
    };
    let [base, earlier, earliest] = rows.map(whole);
    let aligned = |of| motion::aligned(of, &base);
    let (earlier, earliest, now) = (
        aligned(earlier),
        aligned(earliest),
        aligned(whole(sample.now)),
    );
    let (pace, ways) = motion::rotation_pace([&base, &earlier, &earliest], times);
    if pace.speed == 0 && pace.turn == 0 {
        return;
    }
    let class = pace.weight_class();
    let weight = group.weights(key.age, class, 0);
    let age = f64::from(times.age);
    let sums = sums.entry(Key { class, ..key }).or_default();
    for place in 0..4 {
        let regressors = [
            ways[place].late as f64 * age,
            ways[place].early as f64 * age,
            0.0,
            0.0,
        ];
        let target = (now[place] - base[place]) as f64;
        let guess: f64 = weight
            .iter()
            .zip(regressors)
            .map(|(of, way)| f64::from(*of) / ONE * way)
            .sum();
        sums.add(regressors, target, 1.0 / ((target - guess).abs() + 3.0));
    }
}

/// Classes that were never seen have the weights of the next slower one.
fn fill_weights(group: &mut GroupTables) {
    let axes = group.axes;
    for age in 0..AGES {
        for class in 3..WEIGHT_CLASSES {
            let place = |class: usize| (age * WEIGHT_CLASSES + class) * axes;
            for axis in 0..axes {
                if group.weights[place(class) + axis] == [0; 4] {
                    group.weights[place(class) + axis] = group.weights[place(class - 3) + axis];
                }
            }
        }
    }
}

/// The logarithm of how far off, added up.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, off: u64) {
        self.sum += (1.0 + off as f64).log2();
        self.count += 1.0;
    }

    fn level(&self) -> Option<u8> {
        let level = 1.6 * self.sum / self.count;
        (self.count >= 8.0).then(|| level.round().clamp(0.0, LEVELS as f64 - 1.0) as u8)
    }
}

fn levels(tables: &mut Tables, world: &World) {
    let mut means: BTreeMap<(usize, usize, usize), Mean> = BTreeMap::new();
    let mut firsts: BTreeMap<(usize, usize, usize), Mean> = BTreeMap::new();
    let mut context = Context::default();
    let of = &*tables;
    world.each(of, |sample| {
        let kind = &of.kinds[sample.kind];
        context.expect(kind, of.lags, &sample.past);
        for (place, group) in kind.groups.iter().enumerate() {
            if group.group.manner == Manner::Plain {
                continue;
            }
            let base = sample.past.base(kind);
            let off = off(
                kind,
                group,
                &context.groups[place].filled(group, base),
                sample.now,
            );
            match (&sample.past, times(of, &sample)) {
                (Past::Full { .. }, Some(times)) => {
                    let pace = pace_of(kind, group, &sample, &times);
                    let cell = (age_class(times.age) * SPEEDS + pace.speed) * TURNS + pace.turn;
                    means
                        .entry((sample.kind, place, cell))
                        .or_default()
                        .add(off);
                }
                (Past::First { age, .. }, _) => {
                    let key = (sample.kind, place, age_class(*age));
                    firsts.entry(key).or_default().add(off);
                }
                _ => {
                    let key = (sample.kind, place, FROM_NOTHING);
                    firsts.entry(key).or_default().add(off);
                }
            }
        }
    });
    for (number, kind) in tables.kinds.iter_mut().enumerate() {
        for (place, group) in kind.groups.iter_mut().enumerate() {
            let seen = |cell: usize| means.get(&(number, place, cell)).and_then(Mean::level);
            let mut level = 0;
            for cell in 0..GroupTables::LEVELS_LEN {
                // What was never seen is as far off as what turned a little less.
                level = seen(cell).unwrap_or(level);
                group.levels[cell] = level;
            }
            let mut level = LEVELS as u8 / 2;
            for (first, known) in group.first.iter_mut().enumerate() {
                let mean = firsts.get(&(number, place, first)).and_then(Mean::level);
                level = mean.unwrap_or(level);
                *known = level;
            }
        }
    }
}

/// How far off what was expected of a group is, all members together.
fn off(
    kind: &KindTables,
    group: &GroupTables,
    expected: &super::super::context::Expected,
    now: &[i32],
) -> u64 {
    let fields = &group.group.fields;
    if group.group.manner == Manner::Rotation {
        let ball = &group.ball;
        let largest = raw(kind, now, fields[0]) as usize;
        let parts = motion::pack(ball, &expected.whole, expected.length, largest);
        let parts = parts.iter().zip(&fields[1..]);
        return parts
            .map(|(part, field)| u64::from(raw(kind, now, *field).abs_diff(*part)))
            .sum();
    }
    let members = fields.iter().zip(expected.raw);
    members
        .map(|(field, expected)| {
            way(kind.codings[*field], expected, raw(kind, now, *field)).unsigned_abs()
        })
        .sum()
}

fn pace_of(
    kind: &KindTables,
    group: &GroupTables,
    sample: &Sample<'_>,
    times: &Times,
) -> motion::Pace {
    let Some(rows) = rows(sample) else {
        return motion::Pace::default();
    };
    let fields = &group.group.fields;
    if group.group.manner == Manner::Rotation {
        let ball = &group.ball;
        let [base, earlier, earliest] = rows.map(|row| {
            motion::unpack(
                ball,
                core::array::from_fn(|place| raw(kind, row, fields[place])),
            )
        });
        let earlier = motion::aligned(earlier, &base);
        let earliest = motion::aligned(earliest, &base);
        return motion::rotation_pace([&base, &earlier, &earliest], times).0;
    }
    let ways: Vec<Ways> = fields
        .iter()
        .map(|field| {
            let [base, earlier, earliest] = rows.map(|row| raw(kind, row, *field));
            Ways::new(kind.codings[*field], (base, earlier, earliest), times)
        })
        .collect();
    motion::pace(&ways, times)
}

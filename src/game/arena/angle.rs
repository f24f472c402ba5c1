//! Directions as integers: 4,096 a turn, sine and cosine from a table that is computed here.
//!
//! The standard library's sine is the platform's and may differ in the last bit. This one is
//! a polynomial evaluated by the compiler, in additions and multiplications only, which are the
//! same everywhere, and rounded to 14 bits.

/// Angles in a turn. Angle 0 looks along +x, a quarter turn looks along +y.
pub const TURN: u16 = 4_096;

/// The length of the vectors that [`direction`] answers.
pub const ONE: i32 = 1 << 14;

const QUARTER: usize = TURN as usize / 4;

/// The sine of the first quarter turn.
static SINE: [i16; QUARTER + 1] = first_quarter();

const fn first_quarter() -> [i16; QUARTER + 1] {
    let mut table = [0; QUARTER + 1];
    let mut step = 0;
    while step <= QUARTER {
        let angle = core::f64::consts::FRAC_PI_2 * (step as f64) / (QUARTER as f64);
        table[step] = (taylor_sine(angle) * (ONE as f64) + 0.5) as i16;
        step += 1;
    }
    table
}

/// Good to 10^-9 within the first quarter, where the table needs 10^-5.
const fn taylor_sine(x: f64) -> f64 {
    let square = x * x;
    let mut term = x;
    let mut sum = x;
    let mut n = 1.0;
    while n < 14.0 {
        term = -term * square / ((n + 1.0) * (n + 2.0));
        sum += term;
        n += 2.0;
    }
    sum
}

fn sine(angle: u16) -> i32 {
    let angle = usize::from(angle % TURN);
    let (quarter, rest) = (angle / QUARTER, angle % QUARTER);
    match quarter {
        0 => i32::from(SINE[rest]),
        1 => i32::from(SINE[QUARTER - rest]),
        2 => -i32::from(SINE[rest]),
        _ => -i32::from(SINE[QUARTER - rest]),
    }
}

/// The unit vector of an angle, in parts of [`ONE`].
#[must_use]
pub fn direction(angle: u16) -> (i32, i32) {
    (sine(angle.wrapping_add(TURN / 4)), sine(angle))
}

/// A vector of this length in the direction of an angle, each part rounded to the nearest.
#[must_use]
pub fn along(angle: u16, length: i32) -> (i32, i32) {
    let (x, y) = direction(angle);
    let scale = |part: i32| ((i64::from(part) * i64::from(length) + 8_192) >> 14) as i32;
    (scale(x), scale(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_sine_to_the_nearest_integer() {
        for angle in 0..TURN {
            let exact = f64::from(angle) * core::f64::consts::TAU / f64::from(TURN);
            let (x, y) = direction(angle);
            assert!(
                (f64::from(y) - exact.sin() * f64::from(ONE)).abs() <= 0.5001,
                "{angle}"
            );
            assert!(
                (f64::from(x) - exact.cos() * f64::from(ONE)).abs() <= 0.5001,
                "{angle}"
            );
        }
    }

    #[test]
    fn the_four_winds_are_exact() {
        assert_eq!(along(0, 500), (500, 0));
        assert_eq!(along(1_024, 500), (0, 500));
        assert_eq!(along(2_048, 500), (-500, 0));
        assert_eq!(along(3_072, 500), (0, -500));
    }
}

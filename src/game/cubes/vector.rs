//! The little geometry that a cube needs, in additions, multiplications, divisions and square roots only: these are
//! the same on every platform, to the last bit.

/// Three numbers: x and y along the floor, z up.
pub(super) type Vector = [f32; 3];

/// A rotation as a unit quaternion: x, y, z, w.
pub(super) type Rotation = [f32; 4];

/// `a + b * scale`.
pub(super) fn add(a: Vector, b: Vector, scale: f32) -> Vector {
    [
        a[0] + b[0] * scale,
        a[1] + b[1] * scale,
        a[2] + b[2] * scale,
    ]
}

/// The square of a length.
pub(super) fn square(a: Vector) -> f32 {
    a[0] * a[0] + a[1] * a[1] + a[2] * a[2]
}

/// A rotation that goes on for a moment, with `spin` in radians a second.
pub(super) fn rotate([x, y, z, w]: Rotation, spin: Vector, seconds: f32) -> Rotation {
    let [a, b, c] = spin.map(|part| part * seconds * 0.5);
    let turned = [
        x + a * w + b * z - c * y,
        y + b * w + c * x - a * z,
        z + c * w + a * y - b * x,
        w - a * x - b * y - c * z,
    ];
    let length = turned.iter().map(|part| part * part).sum::<f32>().sqrt();
    // Of a unit quaternion and a bounded spin this is near one; never divide by what is not.
    if length > 0.1 {
        turned.map(|part| part / length)
    } else {
        [0.0, 0.0, 0.0, 1.0]
    }
}

/// The axis of a cube that points up most, as a unit vector of the world.
pub(super) fn up_axis([x, y, z, w]: Rotation) -> Vector {
    let axes = [
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y + w * z),
            2.0 * (x * z - w * y),
        ],
        [
            2.0 * (x * y - w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z + w * x),
        ],
        [
            2.0 * (x * z + w * y),
            2.0 * (y * z - w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
    ];
    let [mut most, second, third] = axes;
    for axis in [second, third] {
        if axis[2].abs() > most[2].abs() {
            most = axis;
        }
    }
    if most[2] < 0.0 {
        most.map(|part| -part)
    } else {
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_stays_one_and_its_axes_are_unit_vectors() {
        let mut rotation = [0.0, 0.0, 0.0, 1.0];
        for step in 0..2_000 {
            let spin = [3.0, -2.0 + step as f32 * 0.001, 0.5];
            rotation = rotate(rotation, spin, 1.0 / 60.0);
            let length = rotation.iter().map(|part| part * part).sum::<f32>();
            assert!((length - 1.0).abs() < 1e-5, "{length}");
            let axis = up_axis(rotation);
            assert!((square(axis) - 1.0).abs() < 1e-5);
            // Of three perpendicular axes one is within 54.74 degrees of any direction.
            assert!(axis[2] > 0.577, "{axis:?}");
        }
    }

    #[test]
    fn a_quarter_turn_about_x_brings_y_up() {
        let mut rotation = [0.0, 0.0, 0.0, 1.0];
        for _ in 0..1_000 {
            rotation = rotate(
                rotation,
                [core::f32::consts::FRAC_PI_2, 0.0, 0.0],
                1.0 / 1_000.0,
            );
        }
        let half = core::f32::consts::FRAC_1_SQRT_2;
        for (part, expected) in rotation.iter().zip([half, 0.0, 0.0, half]) {
            assert!((part - expected).abs() < 1e-4, "{rotation:?}");
        }
        assert!(up_axis(rotation)[2] > 0.999);
    }
}

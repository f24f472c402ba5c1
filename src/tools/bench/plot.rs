//! Plots as SVG, to stand in a page: lines over a scale, with a legend. Knows points. Has no idea what they mean.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 34.0;

/// The colours of the lines, which also those tell apart who see few colours.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// A line: its name, its points from left to right. A gap is where there is no value.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// A mark on the scale below: where, and what it says.
pub(super) type Mark = (f64, String);

/// A plot with a title and the unit of its values. `marks` are on the scale below.
pub(super) fn plot(title: &str, unit: &str, lines: &[Line], marks: &[Mark]) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    let xs = all()
        .map(|point| point.0)
        .chain(marks.iter().map(|mark| mark.0));
    let (from, until) = xs.fold((f64::MAX, f64::MIN), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    let most = all().filter_map(|point| point.1).fold(0.0, f64::max);
    let top = ceiling(most);
    let span = if until > from { until - from } else { 1.0 };
    let x = |value: f64| LEFT + (value - from) / span * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><text class=\"title\" x=\"{LEFT}\" y=\"14\">{title}</text>\n"
    );
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let at = y(value);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"scale\" text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{}{unit}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            short(value),
        );
    }
    for (value, says) in marks {
        let _ = writeln!(
            svg,
            "<text class=\"scale\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{}\">{says}</text>",
            x(*value),
            HEIGHT - BOTTOM + 18.0,
        );
    }
    for (line, (number, colour)) in lines.iter().zip(COLOURS.iter().enumerate()) {
        for piece in pieces(&line.points) {
            let points: Vec<_> = piece
                .iter()
                .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
                points.join(" "),
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"scale\" fill=\"{colour}\" x=\"{}\" y=\"28\">{}</text>",
            LEFT + 140.0 * number as f64,
            line.name,
        );
    }
    svg + "</svg>\n"
}

/// What lies between two gaps.
fn pieces(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    let pieces = points.split(|point| point.1.is_none());
    let pieces = pieces.map(|piece| {
        piece
            .iter()
            .filter_map(|(x, y)| Some((*x, (*y)?)))
            .collect()
    });
    pieces.filter(|piece: &Vec<_>| !piece.is_empty()).collect()
}

/// The next number above that reads well: 1, 2 or 5 and zeros.
fn ceiling(most: f64) -> f64 {
    if most <= 0.0 || !most.is_finite() {
        return 1.0;
    }
    let power = 10.0_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps
        .iter()
        .map(|step| step * power)
        .find(|it| *it >= most * 0.999_999)
        .unwrap_or(most)
}

/// A number on a scale, without zeros that say nothing.
fn short(value: f64) -> String {
    if value >= 10_000.0 {
        return format!("{}k", short(value / 1_000.0));
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_numbers_that_read_well() {
        for (most, top) in [
            (0.0, 1.0),
            (0.9, 1.0),
            (1.0, 1.0),
            (17.0, 20.0),
            (201.0, 500.0),
            (0.03, 0.05),
        ] {
            assert!(
                (ceiling(most) - top).abs() < 1e-9,
                "{most}: {}",
                ceiling(most)
            );
        }
        assert_eq!(
            [short(0.25), short(20.0), short(25_000.0)],
            ["0.25", "20", "25k"]
        );
    }

    #[test]
    fn a_gap_breaks_the_line_and_every_point_is_within_the_picture() {
        let points = [1.0, 2.0, 5.0, 4.0]
            .map(Some)
            .into_iter()
            .chain([None, Some(3.0), Some(1.0)]);
        let points = points
            .enumerate()
            .map(|(at, value)| (at as f64, value))
            .collect();
        let svg = plot(
            "a title",
            " ms",
            &[Line {
                name: "p99",
                points,
            }],
            &[],
        );
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("p99") && svg.contains("5 ms"), "{svg}");
        for points in svg.split("points=\"").skip(1) {
            for pair in points.split('"').next().unwrap_or("").split(' ') {
                let (x, y) = pair.split_once(',').expect("a pair");
                let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
                assert!(
                    (LEFT..=WIDTH).contains(&x) && (TOP - 1.0..=HEIGHT - BOTTOM + 1.0).contains(&y),
                    "{pair}"
                );
            }
        }
    }

    #[test]
    fn nothing_to_show_is_no_line_and_no_panic() {
        let svg = plot(
            "nothing",
            "",
            &[Line {
                name: "x",
                points: Vec::new(),
            }],
            &[],
        );
        assert!(!svg.contains("<polyline") && !svg.contains("NaN"), "{svg}");
    }
}

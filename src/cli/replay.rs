//! `tickwire replay`: what a recording holds, each frame verified.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::{Failure, complain, value};
use crate::recording::Recording;
use crate::time::Tick;
use crate::tools::replay::{ReplayReport, Spread, replay};

/// Verify a recording frame by frame, and say what it holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tickwire demo --seconds 10 --record world.twr     make one
  tickwire replay world.twr                         verify all of it
  tickwire replay world.twr --from 300 --json       from a tick on, as one JSON object

A recorder that was killed leaves a torn end: it is reported, what is before it is whole, and the exit code is 0. When
a frame is not what was recorded, or bytes are damaged, the exit code is 1.")]
pub(super) struct Arguments {
    /// The recording
    #[arg(value_name = "FILE", value_parser = value::path)]
    file: PathBuf,
    /// The first tick [default: that of the first frame]
    #[arg(long, value_name = "TICK")]
    from: Option<u32>,
    /// The last tick [default: that of the last frame]
    #[arg(long, value_name = "TICK")]
    to: Option<u32>,
    /// Print one JSON object, and nothing else, on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (from, to) = (
        arguments.from.unwrap_or(0),
        arguments.to.unwrap_or(u32::MAX),
    );
    if from > to {
        return Err(Failure::Usage(format!(
            "--from {from}: allowed is at most --to, {to}"
        )));
    }
    let name = arguments.file.display();
    let mut recording = Recording::open(&arguments.file).with_context(|| name.to_string())?;
    let report = replay(&mut recording, Tick(from)..=Tick(to)).with_context(|| name.to_string())?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).context("cannot write the report")?
    } else {
        format!("{name}: {}", page(&report))
    };
    writeln!(io::stdout(), "{text}").context("cannot write to stdout")?;
    if report.is_good() {
        return Ok(ExitCode::SUCCESS);
    }
    let first = report.problems.first().map_or("", String::as_str);
    complain(&format!(
        "{name}: this is not what was recorded: {} frames differ; {first}",
        report.mismatches,
    ));
    Ok(ExitCode::FAILURE)
}

/// The report for people.
fn page(report: &ReplayReport) -> String {
    let ticks = report.ticks.map_or_else(
        || "no ticks".to_owned(),
        |ticks| format!("ticks {} to {}", ticks.first, ticks.last),
    );
    let ending = if report.ending == "clean" {
        "closed".to_owned()
    } else {
        format!(
            "torn: the recorder did not close it, and {} bytes at the end are no whole block",
            report.torn_bytes
        )
    };
    let mut lines = vec![
        format!(
            "{} frames, {ticks}, {:.1} s",
            report.frames, report.duration_seconds
        ),
        format!("  {ending}"),
        format!(
            "  {} frames differ; {} were dropped by the recorder",
            report.mismatches, report.dropped
        ),
        format!(
            "  {} bytes in {} blocks, {:.0} bytes a frame; {} Hz, a frame every {} ticks",
            report.bytes,
            report.blocks,
            report.bytes_per_frame,
            report.tick_rate,
            report.snapshot_every,
        ),
        format!("  entities: {}", spread(&report.entities)),
    ];
    lines.extend(report.kinds.iter().map(|kind| {
        let (name, fields) = (&kind.name, kind.fields);
        format!("    {name} ({fields} fields): {}", spread(&kind.entities))
    }));
    if !report.schema.is_current {
        lines.push("  recorded by a program that codes this world in another way".to_owned());
    }
    lines.extend(
        report
            .problems
            .iter()
            .map(|text| format!("  WRONG: {text}")),
    );
    lines.join("\n")
}

fn spread(spread: &Spread) -> String {
    let Spread { min, mean, max } = spread;
    format!("{min} to {max}, {mean:.1} on average")
}

//! `tickwire train`: tables that make a game's snapshots smaller, learnt from recordings of it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;

use super::{Failure, value};
use crate::proto::snapshot::Schema;
use crate::proto::snapshot::train::{Share, Trainer};
use crate::recording::Recording;

/// Learn from recordings how a world moves, for smaller snapshots
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tickwire demo --bots 200 --seconds 60 --record world.twr   make a recording
  tickwire train world.twr --out arena.tables                learn from it
  tickwire serve --tables arena.tables                       use it, at the server
  tickwire bots --tables arena.tables                        and at every client

Both ends need the same tables: a client with others is refused when it connects. Learn from what the game will be like:
many players, the usual snapshot rate, a minute or more.")]
pub(super) struct Arguments {
    /// Recordings of one game
    #[arg(value_name = "FILE", required = true, value_parser = value::path)]
    recordings: Vec<PathBuf>,
    /// The file to write; one that exists is never overwritten
    #[arg(long, value_name = "FILE", value_parser = value::path)]
    out: PathBuf,
    /// Print one JSON object, and nothing else, on stdout
    #[arg(long)]
    json: bool,
}

/// What was learnt, and what it saves.
#[derive(Debug, Serialize)]
struct Report {
    /// Snapshots that were learnt from.
    snapshots: usize,
    /// Size of the tables.
    table_bytes: usize,
    /// The number that tells these tables from others.
    hash: String,
    /// What the changes in the recordings take with them, of what they take with the built-in tables.
    of_built_in: f64,
    /// Where the bits go, by kind and field.
    shares: Vec<ShareReport>,
}

#[derive(Debug, Serialize)]
struct ShareReport {
    kind: String,
    /// The field, or what says which fields differ.
    field: String,
    /// Of all bits.
    share: f64,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.out.exists() {
        return Err(Failure::Outside(anyhow!(
            "--out {}: exists already; allowed is a new file",
            arguments.out.display()
        )));
    }
    let schema = schema(&arguments.recordings)?;
    let mut trainer = Trainer::new(&schema);
    for file in &arguments.recordings {
        let name = || file.display().to_string();
        let mut recording = Recording::open(file).with_context(name)?;
        for frame in recording.frames() {
            let frame = frame.with_context(name)?;
            trainer.begin(frame.tick());
            for row in frame.rows() {
                trainer.put(row.id, row.kind, row.values);
            }
        }
    }
    let tables = trainer.learn().context("nothing was learnt")?;
    let (before, after) = (trainer.explain(schema.tables()), trainer.explain(&tables));
    let bits = |shares: &[Share]| shares.iter().map(|share| share.bits).sum::<f64>().max(1.0);
    let all = bits(&after);
    let bytes = tables.to_bytes();
    File::create_new(&arguments.out)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .with_context(|| format!("--out {}", arguments.out.display()))?;
    let report = Report {
        snapshots: trainer.snapshots(),
        table_bytes: bytes.len(),
        hash: format!("{:#018x}", tables.hash()),
        of_built_in: rounded(all / bits(&before)),
        shares: after
            .into_iter()
            .filter(|share| share.bits > 0.0)
            .map(|share| ShareReport {
                kind: share.kind,
                field: share.field.unwrap_or_else(|| "(which differ)".to_owned()),
                share: rounded(share.bits / all),
            })
            .collect(),
    };
    print(&report, arguments.json)?;
    Ok(())
}

/// The schema that all recordings have.
fn schema(files: &[PathBuf]) -> anyhow::Result<Schema> {
    let mut known: Option<Schema> = None;
    for file in files {
        let recording = Recording::open(file).with_context(|| file.display().to_string())?;
        let schema = Schema::clone(recording.schema());
        match &known {
            Some(first) if first.kinds() != schema.kinds() => bail!(
                "{}: is of another game than {}; allowed are recordings of one game",
                file.display(),
                files
                    .first()
                    .map_or_else(String::new, |file| file.display().to_string()),
            ),
            Some(_) => {}
            None => known = Some(schema),
        }
    }
    known.context("no recording was given")
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string_pretty(report).context("cannot write the report")?
    } else {
        let mut text = format!(
            "learnt from {} snapshots: {} bytes of tables, {}\nchanges take {:.0}% of what they take with the built-in tables; of these\n",
            report.snapshots,
            report.table_bytes,
            report.hash,
            report.of_built_in * 100.0,
        );
        for share in &report.shares {
            let ShareReport { kind, field, share } = share;
            text.push_str(&format!("  {:5.1}%  {kind} {field}\n", share * 100.0));
        }
        text.trim_end().to_owned()
    };
    writeln!(io::stdout(), "{text}").context("cannot write to stdout")
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

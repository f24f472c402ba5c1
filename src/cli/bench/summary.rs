//! What people read of a load test: the status line while it runs, and a page of text at the end.

use std::fmt::Write as _;

use crate::cli::ticker::bar;
use crate::tools::bench::conduct::Status;
use crate::tools::bench::report::{Figures, Found, Report, Spread};

/// Characters of the progress bar.
const BAR: usize = 16;

/// The status line of a hold of so many seconds.
pub(super) fn line(status: &Status, seconds: u64) -> String {
    let (asked, live) = (status.asked.max(1), &status.live);
    let share = match status.left {
        None => f64::from(live.settled()) / f64::from(asked),
        Some(left) => 1.0 - left.as_secs_f64() / seconds.max(1) as f64,
    };
    let mut text = format!(
        "{} clients {}/{}",
        bar(share, BAR),
        live.in_game,
        status.asked
    );
    if live.over + live.missed > 0 {
        let _ = write!(text, " ({} over)", live.over + live.missed);
    }
    if status.steps > 0 {
        let _ = write!(text, " | step {}", status.steps + 1);
    }
    match status.left {
        None => text += " | coming in",
        Some(left) => {
            let _ = write!(text, " | {:.0} s to go", left.as_secs_f64().ceil());
        }
    }
    if let Some(row) = &status.last {
        let _ = write!(
            text,
            " | delivery {} | age p99 {} ms | load {:.0}% busy",
            percent(row.delivery),
            number(row.age_p99_ms),
            row.generator_busy * 100.0,
        );
    }
    text
}

/// The report for people.
pub(super) fn text(report: &Report) -> String {
    let Report {
        load,
        server,
        result,
        ..
    } = report;
    let whose = if server.own { "its own" } else { "elsewhere" };
    let mut text = format!(
        "server    {} ({whose}), {}, {} Hz, {} snapshots a second\n\
         clients   {:.1} of {} in the game for {:.0} s; of {} in all, {} whole (decoded and compared), {} light (opened, acknowledged, counted); {}\n",
        server.address,
        server.world,
        server.tick_rate,
        server.snapshot_rate,
        result.clients,
        result.asked,
        result.seconds,
        load.clients,
        load.whole,
        load.light,
        load.whose_sockets(),
    );
    text += &felt(result);
    text += &cost(result);
    for judged in report.objectives.iter().filter(|judged| !judged.holds) {
        let measured = judged
            .measured
            .map_or_else(|| "nothing".to_owned(), |it| it.to_string());
        let _ = writeln!(
            text,
            "broken    {}: {measured}, allowed is {}",
            judged.objective, judged.allowed
        );
    }
    if let Some(found) = &report.find_max {
        text += &search(found);
    }
    for (reason, count) in &report.disconnects {
        let _ = writeln!(text, "ended     {reason}: {count}");
    }
    for (name, count) in &report.rejections {
        let _ = writeln!(text, "refused   {name}: {count}");
    }
    let generator = &result.generator;
    if generator.is_bottleneck {
        let reasons = generator.reasons.join("; ");
        let _ = writeln!(
            text,
            "WARNING   the load generator, not the server, was the bottleneck: {reasons}. The figures say little about the server."
        );
    }
    if generator.is_disturbed() {
        let _ = writeln!(
            text,
            "WARNING   other processes used {} of this machine's {} processors meanwhile: ages and late ticks may be theirs.",
            number(generator.others_cores),
            report.machine.cores,
        );
    }
    if report.interrupted {
        text += "ended before its time\n";
    }
    text
}

fn felt(result: &Figures) -> String {
    let bytes = &result.bytes_per_client_per_second;
    format!(
        "delivery  {} of {} snapshots\n{}{}{}\
         bytes     {:.0} down, {:.0} up, of one client in a second\n\
         replicas  {} entities compared between whole clients, {} differed\n",
        percent(result.snapshots.delivery),
        result.snapshots.expected,
        spread("age", &result.age_ms, "of the newest state"),
        spread(
            "input",
            &result.input_to_state_ms,
            "until its state is back"
        ),
        spread("jitter", &result.arrival_jitter_ms, "of arrivals"),
        bytes.down,
        bytes.up,
        result.replicas.compared,
        result.replicas.differing,
    )
}

fn spread(name: &str, spread: &Spread, of: &str) -> String {
    format!(
        "{name:<9} p50 {} ms, p99 {} ms, p99.9 {} ms, {of}\n",
        number(spread.p50),
        number(spread.p99),
        number(spread.p999),
    )
}

fn cost(result: &Figures) -> String {
    let mut text = String::new();
    match &result.server {
        None => text += "server    its own figures are not known: --admin URL asks for them\n",
        Some(server) => {
            let work = &server.work;
            let kib = server.memory_bytes_per_client.map(|bytes| bytes / 1024.0);
            let _ = writeln!(
                text,
                "cost      {} us of processor for one client and tick ({} processors), {} KiB of memory for one client\n\
                 ticks     p50 {} ms, p99 {} ms, {} of {} too late ({}), {} s of world time given up\n\
                 socket    {} datagrams dropped by the kernel, {} times no room to send",
                number(server.cpu_us_per_client_tick),
                number(server.cores),
                number(kib),
                number(work.tick_ms_p50),
                number(work.tick_ms_p99),
                work.overruns,
                work.ticks,
                percent(server.overrun_share),
                work.skipped_seconds,
                whole(work.socket_drops),
                work.send_stalls,
            );
        }
    }
    let generator = &result.generator;
    let _ = writeln!(
        text,
        "load test {:.2} processors, threads {:.0}% busy, turns p99 {} ms late, {:.2}% of inputs late, {} datagrams dropped by its sockets (of {} KiB each); the machine {} busy",
        generator.cores,
        generator.busy * 100.0,
        number(generator.lateness_ms.p99),
        generator.late_inputs * 100.0,
        whole(generator.socket_drops),
        whole(generator.socket_buffer_bytes.map(|bytes| bytes / 1024)),
        percent(generator.machine_busy),
    );
    text
}

fn search(found: &Found) -> String {
    let mut text = String::new();
    for step in &found.steps {
        let verdict = if step.holds {
            "holds".to_owned()
        } else {
            format!("breaks {}", step.broken.join(", "))
        };
        let _ = writeln!(
            text,
            "step      {} clients: delivery {}, age p99 {} ms: {verdict}",
            step.clients,
            percent(step.figures.snapshots.delivery),
            number(step.figures.age_ms.p99),
        );
    }
    let _ = match (found.held, found.broke) {
        (Some(held), None) => writeln!(
            text,
            "found     {held} clients hold, and no more were tried"
        ),
        (held, Some(broke)) => {
            let held = held.map_or_else(|| "no load".to_owned(), |held| format!("{held} clients"));
            writeln!(
                text,
                "found     {held} held; {broke} broke {}",
                found.objectives.join(", ")
            )
        }
        (None, None) => writeln!(
            text,
            "found     nothing: it was ended before a load was judged"
        ),
    };
    text
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "?".to_owned(), |share| format!("{:.2}%", share * 100.0))
}

fn whole(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tools::bench::Live;

    #[test]
    fn the_status_line_counts_clients_in_and_then_seconds_down() {
        let live = Live {
            in_game: 50,
            over: 1,
            ..Live::default()
        };
        let mut status = Status {
            at: Duration::ZERO,
            asked: 102,
            live,
            left: None,
            last: None,
            steps: 0,
        };
        assert_eq!(
            line(&status, 10),
            "[########--------] clients 50/102 (1 over) | coming in"
        );
        status.left = Some(Duration::from_millis(2_400));
        status.steps = 3;
        assert_eq!(
            line(&status, 10),
            "[############----] clients 50/102 (1 over) | step 4 | 3 s to go"
        );
    }

    #[test]
    fn what_was_found_is_said_with_what_broke() {
        let found = |held, broke| Found {
            held,
            broke,
            objectives: vec!["age".to_owned()],
            steps: Vec::new(),
        };
        assert!(search(&found(Some(300), Some(330))).contains("300 clients held; 330 broke age"));
        assert!(search(&found(None, Some(1))).contains("no load held; 1 broke age"));
        assert!(
            search(&found(Some(900), None)).contains("900 clients hold, and no more were tried")
        );
    }
}

//! What the kernel says about a process: its memory, and the time its threads ran.

use std::fs;

/// Resident memory in KiB; 0 where there is no `/proc`.
pub fn resident_kib(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

/// Microseconds that all threads of a process ran whose name begins so.
pub fn cpu_us(pid: &str, name: &str) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    tasks
        .flatten()
        .map(|task| task.path())
        .filter(|path| {
            fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.starts_with(name))
        })
        .filter_map(|path| {
            let stat = fs::read_to_string(path.join("schedstat")).ok()?;
            stat.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum::<u64>()
        / 1_000
}

/// One row of the tables.
pub fn report(attack: &str, figures: &[(&str, String)]) {
    let figures: Vec<_> = figures
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    println!("| {attack} | {} |", figures.join("; "));
}

/// The value below which so large a share of the values is; in the unit of the values.
pub fn quantile(values: &mut [u32], share: f64) -> u32 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values
        .get((last as f64 * share) as usize)
        .copied()
        .unwrap_or(0)
}

//! The machine that the load test runs on, and what of it is used.
//!
//! Reads what the system tells; what it does not tell is `None` or "unknown".

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// What a figure was measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's own name.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// The kernel.
    pub kernel: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn read() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
        let kernel = [kernel("ostype"), kernel("osrelease")];
        let kernel: Vec<_> = kernel.iter().flatten().map(|it| it.trim()).collect();
        let kernel = if kernel.is_empty() {
            std::env::consts::OS.to_owned()
        } else {
            kernel.join(" ")
        };
        Self {
            cpu: model(&cpus).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel,
        }
    }
}

/// The processor's name in `/proc/cpuinfo`.
fn model(cpus: &str) -> Option<&str> {
    let line = cpus.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// What all processors did since the machine started, in hundredths of a second (mostly).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Busy {
    busy: u64,
    all: u64,
}

impl Busy {
    /// Now.
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// `cpu  user nice system idle iowait irq softirq steal ...`: time that the hypervisor took away is not free either.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let times: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|it| it.parse().ok())
            .collect();
        let idle = times.get(3)?.saturating_add(*times.get(4)?);
        let all = times.iter().sum::<u64>();
        Some(Self {
            busy: all.saturating_sub(idle),
            all,
        })
    }

    /// The share of all processors that was busy from `earlier` until this moment.
    #[must_use]
    pub fn share_since(self, earlier: Self) -> Option<f64> {
        let all = self.all.saturating_sub(earlier.all);
        let busy = self.busy.saturating_sub(earlier.busy);
        (all > 0).then(|| busy as f64 / all as f64)
    }
}

/// The processor time of the calling thread.
#[cfg(unix)]
#[must_use]
pub(super) fn thread_cpu() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Elsewhere it is not known.
#[cfg(not(unix))]
#[must_use]
pub(super) const fn thread_cpu() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let cpus = "processor\t: 0\nmodel name\t: A Fine CPU @ 3.00GHz\nmodel name\t: other\n";
        assert_eq!(model(cpus), Some("A Fine CPU @ 3.00GHz"));
        let at = |user, idle| {
            let text = format!("cpu  {user} 0 50 {idle} 0 0 0 10 0 0\ncpu0 1 2 3 4 5 6 7 8\n");
            Busy::parse(&text).expect("a table")
        };
        let share = at(175, 1_025)
            .share_since(at(100, 1_000))
            .expect("time passed");
        assert!((share - 0.75).abs() < 1e-9, "{share}");
        assert_eq!(at(1, 1).share_since(at(1, 1)), None);
        assert_eq!(Busy::parse("nonsense"), None);
    }
}

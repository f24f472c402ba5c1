//! Which processors the server keeps to, so that the load test has the others.
//!
//! Knows the affinity of the calling thread, which whatever that thread starts inherits. Starts nothing itself.

use core::fmt;
use std::collections::BTreeSet;
use std::io;
use std::str::FromStr;

/// Processors have smaller numbers than this: as many are in a set of the kernel's.
const MOST: usize = 1_024;

const ALLOWED: &str =
    "allowed are numbers of processors and ranges of them, for example 0, 0-1 or 0,2-3";

/// Some processors, by their numbers in `/proc/cpuinfo`; one at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores(BTreeSet<usize>);

/// Why a server and its load cannot be kept apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoresError {
    /// The system does not let a thread choose.
    #[error("the system does not let a process choose its processors: {0}")]
    Affinity(#[from] io::Error),
    /// One is asked for that is not there, or not for us.
    #[error("no processor {missing} for this process; allowed are some of {usable}")]
    NotUsable {
        /// The first that cannot be had.
        missing: usize,
        /// What this process may use.
        usable: Cores,
    },
    /// The load test needs one too.
    #[error("none is left to the load test, which needs one too; this process may use {usable}")]
    NoneLeft {
        /// What this process may use.
        usable: Cores,
    },
}

impl Cores {
    /// Runs `start` on these processors, and keeps the calling thread to the others from now on. What a thread starts is where
    /// the thread is: what `start` starts is on these, and what the caller starts later is not.
    ///
    /// # Errors
    ///
    /// When one of them may not be used, or none would be left. Then nothing was started.
    pub fn keep_apart<T: Send>(&self, start: impl FnOnce() -> T + Send) -> Result<T, CoresError> {
        affinity::set(&self.others()?.0)?;
        // A thread of its own goes there, so that after the start nothing is left that could fail.
        let there = || affinity::set(&self.0).map(|()| start());
        let started = std::thread::scope(|scope| scope.spawn(there).join());
        let started = started.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(started?)
    }

    /// Those that are left to the calling thread when somebody else has these.
    ///
    /// # Errors
    ///
    /// When one of these may not be used, or none is left.
    pub fn others(&self) -> Result<Self, CoresError> {
        self.others_of(Self(affinity::get()?))
    }

    fn others_of(&self, usable: Self) -> Result<Self, CoresError> {
        if let Some(&missing) = self.0.difference(&usable.0).next() {
            return Err(CoresError::NotUsable { missing, usable });
        }
        let others: BTreeSet<_> = usable.0.difference(&self.0).copied().collect();
        if others.is_empty() {
            return Err(CoresError::NoneLeft { usable });
        }
        Ok(Self(others))
    }
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let number = text.trim().parse::<usize>().ok();
            number
                .filter(|it| *it < MOST)
                .ok_or_else(|| format!("'{text}' is no number of a processor; {ALLOWED}"))
        };
        let mut cores = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(format!("'{part}' is a range from its end; {ALLOWED}"));
            }
            cores.extend(first..=last);
        }
        Ok(Self(cores))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for core in &self.0 {
            write!(f, "{before}{core}")?;
            before = ",";
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod affinity {
    use std::collections::BTreeSet;
    use std::io;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    use super::MOST;

    const _: () = assert!(MOST <= CpuSet::MAX_CPU, "a set has room for each");

    /// The processors of the calling thread.
    pub(super) fn get() -> io::Result<BTreeSet<usize>> {
        let set = sched_getaffinity(None)?;
        Ok((0..MOST).filter(|core| set.is_set(*core)).collect())
    }

    /// Keeps the calling thread to these.
    pub(super) fn set(cores: &BTreeSet<usize>) -> io::Result<()> {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core));
        Ok(sched_setaffinity(None, &set)?)
    }
}

/// Elsewhere a thread cannot choose.
#[cfg(not(target_os = "linux"))]
mod affinity {
    use std::collections::BTreeSet;
    use std::io;

    pub(super) fn get() -> io::Result<BTreeSet<usize>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn set(_: &BTreeSet<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(text: &str) -> Cores {
        text.parse().expect("a list")
    }

    #[test]
    fn numbers_and_ranges_are_read_as_taskset_reads_them() {
        for (text, shown) in [
            ("0", "0"),
            ("0-2", "0,1,2"),
            ("3,0-1", "0,1,3"),
            ("1023", "1023"),
        ] {
            assert_eq!(cores(text).to_string(), shown);
        }
        for text in [
            "",
            ",",
            "0,",
            "one",
            "-1",
            "1-",
            "3-1",
            "1024",
            "0-99999999",
            "0x1",
        ] {
            let refusal = text.parse::<Cores>().expect_err(text);
            assert!(refusal.contains(ALLOWED), "{text}: {refusal}");
        }
    }

    #[test]
    fn the_load_has_what_the_server_has_not_and_never_nothing() {
        let others = |wanted: &str| {
            let others = cores(wanted).others_of(cores("0-3"));
            others.map(|it| it.to_string()).map_err(|it| it.to_string())
        };
        assert_eq!(others("0"), Ok("1,2,3".to_owned()));
        assert_eq!(others("1-2"), Ok("0,3".to_owned()));
        let refusal = others("0-3").expect_err("none is left");
        assert!(refusal.contains("may use 0,1,2,3"), "{refusal}");
        let refusal = others("3-5").expect_err("there are four");
        assert!(refusal.contains("no processor 4"), "{refusal}");
    }
}

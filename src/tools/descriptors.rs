//! Room for many sockets: the process's limit of open files, raised as far as the system allows.
//!
//! Knows `RLIMIT_NOFILE`. Opens nothing.

/// Descriptors beside those that are asked for: standard streams, a runtime, a server's own sockets, a file or two.
const RESERVE: u64 = 64;

/// The system does not let this process open as many files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{sockets} sockets need {needed} file descriptors, and the limit (RLIMIT_NOFILE) cannot be raised above \
     {allowed}: ask for fewer, or raise the hard limit (`ulimit -Hn {needed}` as root, `LimitNOFILE=` in a systemd \
     unit, `--ulimit nofile=` for a container)"
)]
pub struct TooFewDescriptors {
    /// What was asked for.
    pub sockets: u64,
    /// With everything else that is open.
    pub needed: u64,
    /// The hard limit.
    pub allowed: u64,
}

/// What has to be done about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Enough,
    RaiseTo(u64),
}

/// Decides, given the soft and the hard limit (`None`: no limit).
fn plan(sockets: u64, soft: Option<u64>, hard: Option<u64>) -> Result<Plan, TooFewDescriptors> {
    let needed = sockets.saturating_add(RESERVE);
    if soft.is_none_or(|soft| soft >= needed) {
        return Ok(Plan::Enough);
    }
    match hard {
        Some(allowed) if allowed < needed => Err(TooFewDescriptors {
            sockets,
            needed,
            allowed,
        }),
        _ => Ok(Plan::RaiseTo(needed)),
    }
}

/// Sees to it that so many sockets can be opened, raising the soft limit if that is what it takes.
///
/// # Errors
///
/// When the hard limit is lower; the text says what to do.
#[cfg(unix)]
pub fn make_room(sockets: u64) -> Result<(), TooFewDescriptors> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let Plan::RaiseTo(needed) = plan(sockets, limit.current, limit.maximum)? else {
        return Ok(());
    };
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    // Some systems have a second limit below the hard one (kern.maxfilesperproc), and only refuse.
    setrlimit(Resource::Nofile, raised).map_err(|_| TooFewDescriptors {
        sockets,
        needed,
        allowed: limit.current.unwrap_or(needed),
    })
}

/// Elsewhere sockets are not counted with files.
///
/// # Errors
///
/// Never.
#[cfg(not(unix))]
pub fn make_room(sockets: u64) -> Result<(), TooFewDescriptors> {
    let _ = (sockets, plan);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_as_far_as_needed_and_no_further() {
        assert_eq!(plan(100, Some(1_024), Some(4_096)), Ok(Plan::Enough));
        assert_eq!(
            plan(1_000, Some(1_024), Some(4_096)),
            Ok(Plan::RaiseTo(1_064))
        );
        assert_eq!(plan(1_000, Some(1_024), None), Ok(Plan::RaiseTo(1_064)));
        assert_eq!(plan(u64::MAX, None, None), Ok(Plan::Enough));
    }

    #[test]
    fn a_hard_limit_that_is_too_low_is_named_with_what_to_do() {
        let error = plan(5_000, Some(1_024), Some(4_096)).expect_err("4,096 are too few");
        let text = error.to_string();
        for part in [
            "5000 sockets",
            "RLIMIT_NOFILE",
            "4096",
            "5064",
            "LimitNOFILE",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

//! The machine under the job: its clock, a core, the processor time and memory of this process.
//!
//! Everything about Linux that is not a socket is in here.

use std::fs;
use std::io::{self, BufRead as _};
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::thread::CpuSet;
use rustix::time::{ClockId, Timespec};

/// The system's monotonic clock in nanoseconds: the same in both processes.
pub(crate) fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Processor time that all threads of this process have used, user and system, in nanoseconds.
///
/// Kernels without `IRQ_TIME_ACCOUNTING` charge what interrupts do to whoever was running: on the loopback a sender pays for its
/// receiver's half of the kernel's work.
pub(crate) fn processor_time() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until the monotonic clock says `due`; not at all when that has passed.
pub(crate) fn sleep_until(due: u64) {
    let at = Timespec {
        tv_sec: (due / 1_000_000_000) as i64,
        tv_nsec: (due % 1_000_000_000) as i64,
    };
    while rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &at).is_err() {}
}

/// Memory that this process has in use, in bytes.
pub(crate) fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Moves this process to one core and out of the way of everything else that runs on the machine, as far as it is
/// permitted.
///
/// With autogroups the nice value of a process ranks it inside its session alone: against a build in
/// another terminal only a session of one's own, ranked as a whole, helps.
pub(crate) fn settle(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &cores) {
        eprintln!("not bound to core {core}: {error}");
    }
    let _ = rustix::process::setsid();
    let _ = fs::write("/proc/self/autogroup", "-19");
    let _ = rustix::process::setpriority_process(None, -19);
    // Ticks begin on the microsecond, not up to 50 of them later.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

/// The machine in one line, and how busy it is now.
pub(crate) fn description() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let (processor, load) = (read("/proc/cpuinfo"), read("/proc/loadavg"));
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |it| {
        it.trim_start_matches([' ', '\t', ':'])
    });
    let cores = processor
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load: Vec<_> = load.split(' ').take(3).collect();
    format!(
        "{cores} x {model}, Linux {}, load average {}",
        kernel.trim(),
        load.join(" ")
    )
}

/// What the conductor says, line by line. When it is gone, so is this process.
pub(crate) fn orders() -> Receiver<String> {
    let (sender, orders) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        std::process::exit(3);
    });
    orders
}

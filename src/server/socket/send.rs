//! How what waits is sent: several to one client as one, several to different ones in one call, else one by one.
//!
//! Decides by what the kernel answers. Which calls there are is somebody else's matter, so that all of it
//! can be tried against a kernel that says what a test wants.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tracing::warn;

use super::queue::Run;
use super::{Batch, Mechanisms, SendQueue};

/// The most datagrams of one call.
pub(super) const MANY: usize = 32;

/// From so many on a run is worth a call of its own.
pub(super) const MIN_RUN: usize = 2;

/// The calls that carry datagrams to the kernel. "Would block" is an error like all others here.
pub(super) trait Calls {
    /// Sends one.
    fn one(&mut self, to: SocketAddr, datagram: &[u8]) -> io::Result<()>;

    /// Sends the first `count`, up to [`MANY`], in order and says how many were taken. An error is about the
    /// first one.
    fn many(&mut self, queue: &SendQueue, count: usize) -> io::Result<usize>;

    /// Sends a run as one, all or nothing.
    fn segments(&mut self, run: &Run<'_>) -> io::Result<()>;
}

/// Sends what waits, and keeps what it takes.
#[derive(Debug)]
pub(super) struct Sender {
    ways: Ways,
    #[cfg(target_os = "linux")]
    segmenter: Option<super::linux::Segmenter>,
}

/// Which calls are made. Whatever is refused is not asked for again.
#[derive(Debug)]
struct Ways {
    many: bool,
    segments: bool,
}

/// What a call made of the datagrams at the front.
enum Outcome {
    Sent {
        count: usize,
        joined: bool,
    },
    /// The first one cannot be sent.
    Lost,
    WouldBlock,
}

impl Sender {
    pub(super) fn new(mechanisms: Mechanisms) -> Self {
        Self {
            ways: Ways::new(mechanisms),
            #[cfg(target_os = "linux")]
            segmenter: super::linux::Segmenter::new(mechanisms),
        }
    }

    pub(super) fn flush(&mut self, socket: &UdpSocket, queue: &mut SendQueue) -> Batch {
        #[cfg(target_os = "linux")]
        if self.ways.many || self.ways.segments {
            let segmenter = self.segmenter.as_ref();
            let mut calls = super::linux::Linux { socket, segmenter };
            return self.ways.flush(&mut calls, queue);
        }
        self.ways
            .flush(&mut super::portable::Portable(socket), queue)
    }
}

impl Ways {
    const fn new(mechanisms: Mechanisms) -> Self {
        Self {
            many: mechanisms.send_many,
            segments: mechanisms.send_segments,
        }
    }

    fn flush(&mut self, calls: &mut impl Calls, queue: &mut SendQueue) -> Batch {
        let mut batch = Batch::default();
        while !queue.is_empty() {
            match self.step(calls, queue, &mut batch.calls) {
                Outcome::Sent { count, joined } => {
                    let bytes = queue
                        .iter()
                        .take(count)
                        .map(|(_, bytes)| bytes.len() as u64);
                    batch.bytes += bytes.sum::<u64>();
                    batch.datagrams += count as u64;
                    batch.joined += if joined { count as u64 } else { 0 };
                    queue.leave(count);
                }
                Outcome::Lost => {
                    batch.errors += 1;
                    queue.leave(1);
                }
                Outcome::WouldBlock => {
                    batch.would_block = true;
                    break;
                }
            }
        }
        batch
    }

    /// Makes the call that carries the most from the front of the queue.
    fn step(&mut self, calls: &mut impl Calls, queue: &SendQueue, made: &mut u64) -> Outcome {
        *made += 1;
        if self.segments
            && let Some(run) = queue.run(0).filter(|run| run.count >= MIN_RUN)
        {
            let (count, joined) = (run.count, true);
            return match calls.segments(&run) {
                Ok(()) => Outcome::Sent { count, joined },
                Err(error) => {
                    let (alone, is_to_blame) = instead(calls, queue, &error, made);
                    if is_to_blame {
                        self.segments = false;
                        warn!(%error, "segmentation of UDP (GSO) was refused: datagrams are sent without it from now on");
                    }
                    alone
                }
            };
        }
        let several = self.before_a_run(queue);
        if !self.many || several < 2 {
            return one(calls, queue);
        }
        match calls.many(queue, several) {
            Ok(0) => Outcome::WouldBlock,
            Ok(count) => Outcome::Sent {
                count,
                joined: false,
            },
            Err(error) => {
                let (alone, is_to_blame) = instead(calls, queue, &error, made);
                if is_to_blame {
                    self.many = false;
                    warn!(%error, "sendmmsg was refused: one datagram a call from now on");
                }
                alone
            }
        }
    }

    /// How many datagrams from the front go in one call: those before the next run.
    fn before_a_run(&self, queue: &SendQueue) -> usize {
        let several = queue.iter().take(MANY).count();
        let starts_a_run =
            |behind: &usize| queue.run(*behind).is_some_and(|run| run.count >= MIN_RUN);
        if self.segments {
            (1..several).find(starts_a_run).unwrap_or(several)
        } else {
            several
        }
    }
}

/// Sends the first datagram alone where more were refused, and says whether the refused call is to blame: it is when the
/// datagram can be sent alone and the error is one of a call. A device without checksums in hardware, an old kernel, a sandbox.
///
/// Nothing is lost for it: the others still wait.
fn instead(
    calls: &mut impl Calls,
    queue: &SendQueue,
    error: &io::Error,
    made: &mut u64,
) -> (Outcome, bool) {
    if error.kind() == io::ErrorKind::WouldBlock {
        return (Outcome::WouldBlock, false);
    }
    *made += 1;
    let alone = one(calls, queue);
    let is_to_blame = matches!(alone, Outcome::Sent { .. }) && is_about_the_call(error);
    (alone, is_to_blame)
}

/// Sends the first datagram alone.
fn one(calls: &mut impl Calls, queue: &SendQueue) -> Outcome {
    let Some((to, datagram)) = queue.iter().next() else {
        return Outcome::Lost;
    };
    match calls.one(to, datagram) {
        Ok(()) => Outcome::Sent {
            count: 1,
            joined: false,
        },
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Outcome::WouldBlock,
        Err(_) => Outcome::Lost,
    }
}

/// Whether an error may be about how something was sent rather than to whom.
#[cfg(target_os = "linux")]
pub(super) fn is_about_the_call(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // EIO: the device cannot compute checksums. EINVAL and EMSGSIZE: a segment is longer than the path allows.
    // The others: the call or its option is unknown or forbidden.
    const ABOUT_THE_CALL: [Errno; 8] = [
        Errno::IO,
        Errno::INVAL,
        Errno::MSGSIZE,
        Errno::NOSYS,
        Errno::PERM,
        Errno::ACCESS,
        Errno::OPNOTSUPP,
        Errno::NOPROTOOPT,
    ];
    Errno::from_io_error(error).is_some_and(|errno| ABOUT_THE_CALL.contains(&errno))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_about_the_call(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kernel is to answer next to a call of one kind; without an order it takes everything.
    #[derive(Default)]
    struct Kernel {
        one: Vec<io::Result<()>>,
        many: Vec<io::Result<usize>>,
        segments: Vec<io::Result<()>>,
        /// First bytes of the datagrams it took, in order.
        taken: Vec<u8>,
        calls: Vec<&'static str>,
    }

    impl Calls for Kernel {
        fn one(&mut self, _: SocketAddr, datagram: &[u8]) -> io::Result<()> {
            self.calls.push("one");
            if !self.one.is_empty() {
                self.one.remove(0)?;
            }
            self.taken.push(datagram[0]);
            Ok(())
        }

        fn many(&mut self, queue: &SendQueue, count: usize) -> io::Result<usize> {
            self.calls.push("many");
            let count = if self.many.is_empty() {
                count
            } else {
                self.many.remove(0)?.min(count)
            };
            self.taken
                .extend(queue.iter().take(count).map(|(_, bytes)| bytes[0]));
            Ok(count)
        }

        fn segments(&mut self, run: &Run<'_>) -> io::Result<()> {
            self.calls.push("segments");
            if !self.segments.is_empty() {
                self.segments.remove(0)?;
            }
            self.taken
                .extend(run.bytes.chunks(run.size).map(|bytes| bytes[0]));
            Ok(())
        }
    }

    const ALL: Mechanisms = Mechanisms {
        receive_many: true,
        receive_joined: true,
        send_many: true,
        send_segments: true,
    };

    fn errno(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    fn would_block() -> io::Error {
        io::ErrorKind::WouldBlock.into()
    }

    /// Datagrams numbered from zero, of ten bytes each, to these ports.
    fn queue(ports: &[u16]) -> SendQueue {
        let mut queue = SendQueue::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        for (number, port) in (0..).zip(ports) {
            let pushed = queue.push(|buffer| {
                buffer[0] = number;
                Some((SocketAddr::from(([127, 0, 0, 1], *port)), 10))
            });
            pushed.expect("room");
        }
        queue
    }

    fn numbers(count: u8) -> Vec<u8> {
        (0..count).collect()
    }

    #[test]
    fn what_lies_between_runs_goes_in_one_call() {
        let (mut kernel, mut queue) = (Kernel::default(), queue(&[1, 2, 3, 4, 4, 4, 5, 6, 6]));
        let batch = Ways::new(ALL).flush(&mut kernel, &mut queue);
        assert_eq!(kernel.calls, ["many", "segments", "one", "segments"]);
        assert_eq!(kernel.taken, numbers(9));
        assert_eq!((batch.datagrams, batch.bytes), (9, 90));
        assert_eq!((batch.joined, batch.calls), (5, 4));
    }

    #[test]
    fn a_buffer_that_fills_up_leaves_the_rest_waiting_in_order() {
        let mut ways = Ways::new(ALL);
        let (mut kernel, mut queue) = (Kernel::default(), queue(&[1, 2, 3, 4, 5, 5, 5, 6]));
        kernel.many = vec![Ok(2), Err(would_block())];
        let batch = ways.flush(&mut kernel, &mut queue);
        assert_eq!((batch.datagrams, batch.would_block), (2, true));
        assert_eq!((batch.errors, queue.is_empty()), (0, false));
        kernel.segments = vec![Err(would_block())];
        assert_eq!(ways.flush(&mut kernel, &mut queue).datagrams, 2);
        kernel.one = vec![Err(would_block())];
        assert_eq!(ways.flush(&mut kernel, &mut queue).datagrams, 3);
        assert_eq!(ways.flush(&mut kernel, &mut queue).datagrams, 1);
        assert_eq!(kernel.taken, numbers(8));
        assert!(queue.is_empty());
    }

    #[test]
    fn what_comes_while_others_wait_stays_behind_them() {
        let mut ways = Ways::new(ALL);
        let (mut kernel, mut queue) = (Kernel::default(), queue(&[1, 2]));
        kernel.many = vec![Ok(1), Err(would_block())];
        kernel.one = vec![Err(would_block())];
        ways.flush(&mut kernel, &mut queue);
        let pushed = queue.push(|buffer| {
            buffer[0] = 2;
            Some((SocketAddr::from(([127, 0, 0, 1], 2)), 10))
        });
        pushed.expect("room");
        ways.flush(&mut kernel, &mut queue);
        assert_eq!(kernel.taken, numbers(3));
    }

    /// A network card that cannot compute checksums says EIO; nothing may be lost for it.
    #[test]
    fn segmentation_that_a_device_refuses_is_given_up_and_its_datagrams_are_sent_alone() {
        for error in [5, 22, 90] {
            let mut ways = Ways::new(ALL);
            let (mut kernel, mut queue) = (Kernel::default(), queue(&[1, 1, 1, 2, 3, 3]));
            kernel.segments = vec![Err(errno(error))];
            let batch = ways.flush(&mut kernel, &mut queue);
            assert_eq!(kernel.taken, numbers(6));
            assert_eq!(kernel.calls, ["segments", "one", "many"]);
            assert_eq!((batch.datagrams, batch.joined, batch.errors), (6, 0, 0));
            assert!(!ways.segments && ways.many);
        }
    }

    #[test]
    fn segmentation_is_kept_when_it_was_the_receivers_fault_or_a_passing_one() {
        for (run, alone) in [(22, Some(22)), (101, Some(101)), (105, None)] {
            let mut ways = Ways::new(ALL);
            let (mut kernel, mut queue) = (Kernel::default(), queue(&[1, 1, 2, 2]));
            kernel.segments = vec![Err(errno(run))];
            kernel.one =
                alone.map_or_else(Vec::new, |alone| vec![Err(errno(alone)), Err(errno(alone))]);
            let batch = ways.flush(&mut kernel, &mut queue);
            assert!(ways.segments);
            assert_eq!(batch.joined, 2);
            assert_eq!(batch.datagrams + batch.errors, 4);
        }
    }

    #[test]
    fn a_batch_call_that_is_forbidden_is_given_up_and_loses_nothing() {
        for error in [38, 1] {
            let mut ways = Ways::new(ALL);
            let (mut kernel, mut queue) = (Kernel::default(), queue(&[1, 2, 3]));
            kernel.many = vec![Err(errno(error))];
            let batch = ways.flush(&mut kernel, &mut queue);
            assert_eq!(kernel.taken, numbers(3));
            assert_eq!(kernel.calls, ["many", "one", "one", "one"]);
            assert_eq!((batch.errors, batch.calls), (0, 4));
            assert!(!ways.many);
        }
    }

    #[test]
    fn an_error_of_a_batch_is_its_first_datagrams() {
        let mut ways = Ways::new(ALL);
        let (mut kernel, mut queue) = (Kernel::default(), queue(&[1, 2, 3, 4]));
        kernel.many = vec![Ok(1), Err(errno(101))];
        kernel.one = vec![Err(errno(101))];
        let batch = ways.flush(&mut kernel, &mut queue);
        assert_eq!(kernel.taken, [0, 2, 3]);
        assert_eq!((batch.datagrams, batch.errors), (3, 1));
        assert!(ways.many);
    }
}

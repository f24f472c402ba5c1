//! Datagrams that this process's own sockets had no room for, as the kernel counts them.
//!
//! Reads `/proc`, at the beginning of a hold and at its end. Keeps no list of sockets: the open files of the process are
//! one. Where there is no such table, nothing is known.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// How often the table is read before one that will not hold still is taken as it is.
const MAX_READINGS: usize = 16;

/// Drops of each UDP socket that is open, by inode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Drops(BTreeMap<u64, u64>);

impl Drops {
    /// As of now; `None` where the system does not tell.
    ///
    /// The kernel hands its table out a page at a time and finds its place again by counting rows: where a socket is
    /// closed meanwhile, by anybody on the machine, a row is passed over. So the table is read until a reading shows no
    /// socket that was not seen yet, and every socket of an `earlier` reading that is still open was seen.
    pub(super) fn read(earlier: &Self) -> Option<Self> {
        let open: BTreeSet<_> = fs::read_dir("/proc/self/fd")
            .ok()?
            .filter_map(|entry| {
                let target = fs::read_link(entry.ok()?.path()).ok()?;
                inode(target.to_str()?)
            })
            .collect();
        let mut drops = BTreeMap::new();
        for _ in 0..MAX_READINGS {
            let seen = drops.len();
            for table in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
                let table = fs::read_to_string(table).unwrap_or_default();
                drops.extend(rows(&table).filter(|(inode, _)| open.contains(inode)));
            }
            let nothing_new = drops.len() == seen;
            let mut awaited = earlier.0.keys().filter(|inode| open.contains(inode));
            if nothing_new && awaited.all(|inode| drops.contains_key(inode)) {
                break;
            }
        }
        Some(Self(drops))
    }

    /// How many there were since an earlier reading. What a socket dropped that was closed meanwhile is not known.
    pub(super) fn since(&self, earlier: &Self) -> u64 {
        let grown = self.0.iter().map(|(inode, drops)| {
            let before = earlier.0.get(inode).copied().unwrap_or(0);
            drops.saturating_sub(before)
        });
        grown.sum()
    }
}

/// `socket:[4711]`, as the link of an open file shows it.
fn inode(target: &str) -> Option<u64> {
    let number = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

/// Inode and drops of each row.
///
/// ```text
/// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer drops
/// ```
fn rows(table: &str) -> impl Iterator<Item = (u64, u64)> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let inode = fields.nth(9)?.parse().ok()?;
        Some((inode, fields.nth(2)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read_and_readings_are_compared() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             3: 0100007F:1E61 00000000:0000 07 00000000:00000300 00:00000000 00000000  1000        0 4711 2 0000000000000000 12\n\
             a torn line\n\
             4: 0100007F:1E62 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4712 2 0000000000000000 0\n";
        assert_eq!(rows(table).collect::<Vec<_>>(), [(4711, 12), (4712, 0)]);
        assert_eq!(inode("socket:[4711]"), Some(4711));
        assert_eq!(inode("/dev/null"), None);
        let reading = |pairs: &[(u64, u64)]| Drops(pairs.iter().copied().collect());
        let earlier = reading(&[(1, 5), (2, 7)]);
        // One went on, one was closed, one is new.
        assert_eq!(reading(&[(1, 9), (3, 2)]).since(&earlier), 6);
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a socket that nobody reads")]
    fn what_a_full_socket_drops_is_counted() {
        let full = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let before = Drops::read(&Drops::default()).expect("/proc");
        let to = full.local_addr().expect("bound");
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        for _ in 0..20_000 {
            let _ = sender.send_to(&[0; 1_000], to);
        }
        let dropped = Drops::read(&before).expect("/proc").since(&before);
        assert!(dropped >= 1_000, "{dropped}");
    }

    /// On a busy machine a full socket was once said to have dropped nothing: its row had been passed over.
    #[cfg(target_os = "linux")]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "sockets that nobody reads")]
    fn no_socket_is_passed_over_while_others_close() {
        use std::net::UdpSocket;
        use std::os::fd::AsRawFd as _;
        use std::sync::atomic::{AtomicBool, Ordering};

        let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let ours = [bind(), bind(), bind(), bind()];
        let known = ours.each_ref().map(|socket| {
            let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()));
            inode(link.expect("/proc").to_str().expect("ASCII")).expect("a socket")
        });
        let earlier = Drops(known.map(|inode| (inode, 0)).into());
        let over = AtomicBool::new(false);
        let missed = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // More rows than a page has.
                    drop([(); 64].map(|()| bind()));
                }
            });
            let missed = (0..300).filter(|_| {
                let read = Drops::read(&earlier).expect("/proc");
                known.iter().any(|inode| !read.0.contains_key(inode))
            });
            let missed = missed.count();
            over.store(true, Ordering::Relaxed);
            missed
        });
        drop(ours);
        assert_eq!(missed, 0);
    }
}

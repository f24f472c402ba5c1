//! What only the operating system knows: the process, and the datagrams its socket had no room for.
//!
//! Read at each scrape and never kept. What a system does not tell is `None`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The process.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    #[cfg(unix)]
    pub(super) fn read() -> Option<Self> {
        use rustix::time::{ClockId, clock_gettime};
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").ok();
        Some(Self {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: number_after(&status, "VmRSS:").map(|kib| kib * 1_024),
            // The directory that is being read is one of them.
            open_fds: open.map(|entries| (entries.count() as u64).saturating_sub(1)),
            max_fds: number_after(&limits, "Max open files"),
            threads: number_after(&status, "Threads:"),
        })
    }

    #[cfg(not(unix))]
    pub(super) fn read() -> Option<Self> {
        None
    }
}

/// The whole number that follows `label` at the start of a line.
fn number_after(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The kernel's view of the server's sockets, all shards together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) drops: u64,
    pub(super) receive_queue: u64,
    pub(super) send_queue: u64,
}

impl Socket {
    pub(super) fn read(local: SocketAddr) -> Option<Self> {
        let table = if local.is_ipv4() { "udp" } else { "udp6" };
        let text = fs::read_to_string(format!("/proc/net/{table}")).ok()?;
        Self::find(&text, local)
    }

    /// Adds up the rows of one local address.
    ///
    /// ```text
    /// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer drops
    /// ```
    fn find(text: &str, local: SocketAddr) -> Option<Self> {
        let mut found = None;
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (Some(address), Some(queues), Some(drops)) =
                (fields.get(1), fields.get(4), fields.get(12))
            else {
                continue;
            };
            if address_from(address) != Some(local) {
                continue;
            }
            let sum: &mut Self = found.get_or_insert_default();
            sum.drops += drops.parse().unwrap_or(0);
            if let Some((send, receive)) = queues.split_once(':') {
                sum.send_queue += u64::from_str_radix(send, 16).unwrap_or(0);
                sum.receive_queue += u64::from_str_radix(receive, 16).unwrap_or(0);
            }
        }
        found
    }
}

/// `0100007F:1E61`: the address in words of 32 bits, each in the machine's own byte order; the port.
fn address_from(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(8 * at..8 * at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_rows_of_our_address_are_added_up() {
        let text = format!(
            "{HEAD}  10: 0100007F:1E61 00000000:0000 07 00000010:00000A00 00:00000000 00000000     0        0 5 2 0 3\n\
             11: 0100007F:1E61 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 6 2 0 4\n\
             12: 0100007F:1E62 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 7 2 0 50\n\
             13: 00000000:1E61 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 8 2 0 60\n\
             nonsense\n"
        );
        let local = SocketAddr::from(([127, 0, 0, 1], 7777));
        let found = Socket {
            drops: 7,
            receive_queue: 0xa01,
            send_queue: 0x10,
        };
        assert_eq!(Socket::find(&text, local), Some(found));
        assert_eq!(Socket::find(HEAD, local), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_read_word_by_word() {
        let v6 = "B80D0120000000000000000001000000:1E61";
        assert_eq!(
            address_from(v6).map(|it| it.to_string()).as_deref(),
            Some("[2001:db8::1]:7777")
        );
        assert_eq!(address_from("0100007F"), None);
        assert_eq!(address_from("0100007G:0001"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_real_socket_is_found_and_this_process_has_memory() {
        #[expect(clippy::disallowed_methods, reason = "a test on a real socket")]
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        let local = socket.local_addr().expect("an address");
        assert_eq!(Socket::read(local), Some(Socket::default()));
        let process = Process::read().expect("a Unix");
        assert!(process.cpu_seconds > 0.0);
        assert!(process.resident_bytes > Some(1 << 16));
        assert!(process.open_fds >= Some(3) && process.max_fds >= process.open_fds);
        assert!(process.threads >= Some(1));
    }
}

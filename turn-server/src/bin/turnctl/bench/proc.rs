//! Readers of `/proc`: processor time of a process, memory, datagrams dropped by the kernel, time stolen by the host.
//!
//! Parsers take text, so that they are tested without a kernel. What the figures mean for a round is in `disturbance`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;

/// Processor time of one thread, from `schedstat`: exact to the nanosecond, unlike the ticks in `stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ThreadTime {
    pub(crate) run_ns: u64,
    /// Time spent runnable without running: somebody else had the core.
    pub(crate) wait_ns: u64,
}

/// Processor time of every thread of a process at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessTime(BTreeMap<u32, ThreadTime>);

impl ProcessTime {
    /// Reads all threads of `pid`.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let Some(tid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            if let Some(time) = parse_schedstat(&text) {
                threads.insert(tid, time);
            }
        }
        Ok(Self(threads))
    }

    /// What was used between an earlier reading and this one; a thread that is new counts from zero.
    pub(crate) fn since(&self, earlier: &Self) -> ThreadTime {
        let mut sum = ThreadTime::default();
        for (tid, now) in &self.0 {
            let before = earlier.0.get(tid).copied().unwrap_or_default();
            sum.run_ns += now.run_ns.saturating_sub(before.run_ns);
            sum.wait_ns += now.wait_ns.saturating_sub(before.wait_ns);
        }
        sum
    }
}

/// Processor time of all processes but the given ones, by process.
///
/// A process that begins and ends between two readings is not seen.
pub(crate) fn everybody_but(excluded: &[u32]) -> BTreeMap<u32, ProcessTime> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| !excluded.contains(pid))
        .filter_map(|pid| Some((pid, ProcessTime::of(pid).ok()?)))
        .collect()
}

/// Nanoseconds that those processes ran between two readings.
pub(crate) fn ran_between(
    before: &BTreeMap<u32, ProcessTime>,
    after: &BTreeMap<u32, ProcessTime>,
) -> u64 {
    let nothing = ProcessTime::default();
    after
        .iter()
        .map(|(pid, time)| time.since(before.get(pid).unwrap_or(&nothing)).run_ns)
        .sum()
}

/// Ticks the host took from each core (`steal` of `/proc/stat`), by core number.
pub(crate) fn stolen_ticks() -> BTreeMap<usize, u64> {
    fs::read_to_string("/proc/stat")
        .map(|text| parse_steal(&text))
        .unwrap_or_default()
}

/// Datagrams that did not fit a receive buffer, anywhere on this machine (`RcvbufErrors`, IPv4).
pub(crate) fn receive_buffer_errors() -> u64 {
    fs::read_to_string("/proc/net/snmp")
        .ok()
        .and_then(|text| parse_snmp(&text, "Udp:", "RcvbufErrors"))
        .unwrap_or(0)
}

/// Datagrams dropped at the IPv4 sockets bound to `address`.
pub(crate) fn socket_drops(address: SocketAddr) -> u64 {
    fs::read_to_string("/proc/net/udp")
        .map(|text| parse_socket_drops(&text, address))
        .unwrap_or(0)
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_kib(&text, "VmRSS:")
}

/// Kernel slab memory of the machine in KiB.
pub(crate) fn slab_kib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    parse_kib(&text, "Slab:")
}

/// Open files a process may have (soft limit).
pub(crate) fn open_file_limit() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn parse_schedstat(text: &str) -> Option<ThreadTime> {
    let mut fields = text.split_whitespace().map(str::parse);
    Some(ThreadTime {
        run_ns: fields.next()?.ok()?,
        wait_ns: fields.next()?.ok()?,
    })
}

fn parse_steal(text: &str) -> BTreeMap<usize, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, fields) = line.split_once(' ')?;
            let core = name.strip_prefix("cpu")?.parse().ok()?;
            let steal = fields.split_whitespace().nth(7)?.parse().ok()?;
            Some((core, steal))
        })
        .collect()
}

/// A counter of `/proc/net/snmp`, where a line of names is followed by a line of values.
fn parse_snmp(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let column = lines
        .next()?
        .split_whitespace()
        .position(|field| field == name)?;
    lines.next()?.split_whitespace().nth(column)?.parse().ok()
}

fn parse_socket_drops(text: &str, address: SocketAddr) -> u64 {
    let SocketAddr::V4(address) = address else {
        return 0;
    };
    // The kernel prints the address as the number it holds in memory.
    let local = format!(
        "{:08X}:{:04X}",
        u32::from_ne_bytes(address.ip().octets()),
        address.port()
    );
    text.lines()
        .filter(|line| line.split_whitespace().nth(1) == Some(local.as_str()))
        .filter_map(|line| line.split_whitespace().next_back()?.parse::<u64>().ok())
        .sum()
}

fn parse_kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_gives_running_and_waiting_time() {
        assert_eq!(
            parse_schedstat("220226272 11446876 440\n"),
            Some(ThreadTime {
                run_ns: 220_226_272,
                wait_ns: 11_446_876
            })
        );
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn time_used_is_summed_over_threads_and_new_threads_count_whole() {
        let time = |run_ns, wait_ns| ThreadTime { run_ns, wait_ns };
        let before = ProcessTime(BTreeMap::from([(1, time(100, 5)), (2, time(50, 0))]));
        let after = ProcessTime(BTreeMap::from([(1, time(130, 6)), (3, time(7, 1))]));
        assert_eq!(after.since(&before), time(37, 2));
    }

    #[test]
    fn our_own_time_grows() {
        let pid = std::process::id();
        let before = ProcessTime::of(pid).unwrap();
        // The kernel books time at its ticks: spin until it has.
        while ProcessTime::of(pid).unwrap().since(&before).run_ns == 0 {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn steal_is_read_per_core() {
        let text = "cpu  1 2 3 4 5 6 7 99 0 0\ncpu0 1 2 3 4 5 6 7 40 0 0\ncpu1 1 2 3 4 5 6 7 59 0 0\nintr 5\n";
        assert_eq!(parse_steal(text), BTreeMap::from([(0, 40), (1, 59)]));
    }

    #[test]
    fn snmp_values_are_found_by_name() {
        let text = "Ip: A B\nIp: 1 2\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 191 0 3 192 17\n";
        assert_eq!(parse_snmp(text, "Udp:", "RcvbufErrors"), Some(17));
        assert_eq!(parse_snmp(text, "Udp:", "Nothing"), None);
    }

    #[test]
    fn drops_are_those_of_the_address_asked_for() {
        let head = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";
        let ip = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        let line = |port: u16, drops: u64| {
            format!(
                "  1: {ip}:{port:04X} 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 123 2 0000000000000000 {drops}\n"
            )
        };
        let text = format!("{head}{}{}", line(3478, 12), line(3479, 5));
        assert_eq!(
            parse_socket_drops(&text, "127.0.0.1:3478".parse().unwrap()),
            12
        );
        assert_eq!(parse_socket_drops(&text, "127.0.0.1:9".parse().unwrap()), 0);
    }

    #[test]
    fn memory_is_read_in_kib() {
        assert_eq!(
            parse_kib("VmPeak:\t 10 kB\nVmRSS:\t    1234 kB\n", "VmRSS:"),
            Some(1234)
        );
    }
}

//! Lines for syslog, as the system's own library writes them for coturn: `<PRIORITY>TIME NAME[PID]: LINE` (RFC 3164 §4.1, without
//! the host, which a local daemon knows) in a datagram to its socket.

use std::{
    io::{self, ErrorKind, Write as _},
    os::unix::net::{UnixDatagram, UnixStream},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jiff::Zoned;

/// The name that lines are found by; coturn's is the same.
const NAME: &str = "turnserver";

/// A daemon that reads nothing takes as many bytes as its queue holds; lines beyond are lost, and nobody waits.
pub(super) struct Syslog {
    socket: PathBuf,
    facility: u8,
    connection: Mutex<Connection>,
}

enum Connection {
    Datagrams(UnixDatagram),
    /// Some daemons listen for streams, in which a zero ends a line.
    Stream(UnixStream),
}

impl Syslog {
    /// Connects to the daemon behind this socket.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn connect(socket: &Path, facility: u8) -> io::Result<Self> {
        Ok(Self {
            connection: Mutex::new(Connection::open(socket)?),
            socket: socket.to_owned(),
            facility,
        })
    }

    /// Sends a line; a daemon that was started anew meanwhile is connected to once more.
    pub(super) fn send(&self, level: tracing::Level, line: &[u8]) -> io::Result<()> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let time = Zoned::now().strftime("%b %e %T").to_string();
        let (priority, pid) = (priority(self.facility, level), std::process::id());
        let mut record = format!("<{priority}>{time} {NAME}[{pid}]: ").into_bytes();
        record.extend_from_slice(line);
        let mut connection = (self.connection.lock()).unwrap_or_else(PoisonError::into_inner);
        match connection.send(&record) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
            Err(_) => {
                *connection = Connection::open(&self.socket)?;
                connection.send(&record)
            }
            Ok(()) => Ok(()),
        }
    }
}

impl Connection {
    fn open(socket: &Path) -> io::Result<Self> {
        let datagrams = UnixDatagram::unbound()?;
        match datagrams.connect(socket) {
            Ok(()) => {
                datagrams.set_nonblocking(true)?;
                Ok(Self::Datagrams(datagrams))
            }
            // That is what the kernel says of a socket of the other kind.
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) =>
            {
                let stream = UnixStream::connect(socket)?;
                stream.set_nonblocking(true)?;
                Ok(Self::Stream(stream))
            }
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagrams(socket) => socket.send(record).map(drop),
            Self::Stream(stream) => stream.write_all(&[record, b"\0"].concat()),
        }
    }
}

/// Facility and severity in one number (RFC 5424 §6.2.1).
fn priority(facility: u8, level: tracing::Level) -> u16 {
    let severity = match level {
        tracing::Level::ERROR => 3,
        tracing::Level::WARN => 4,
        tracing::Level::INFO => 6,
        _ => 7,
    };
    u16::from(facility) * 8 + severity
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Read as _,
        os::unix::net::{UnixDatagram, UnixListener},
        path::PathBuf,
    };

    use tracing::Level;

    use super::Syslog;

    fn place(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("turnpike-syslog-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    /// `LINE` of `<30>Nov  1 09:05:07 turnserver[4711]: LINE`, after a look at the rest.
    fn content(record: &[u8], priority: &str) -> String {
        let record = std::str::from_utf8(record).unwrap();
        let rest = record
            .strip_prefix(priority)
            .unwrap_or_else(|| panic!("{record}"));
        let (time, rest) = rest.split_at("Nov  1 09:05:07".len());
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert!(shape.ends_with("0 00:00:00"), "{record}");
        let head = format!(" turnserver[{}]: ", std::process::id());
        rest.strip_prefix(&head)
            .unwrap_or_else(|| panic!("{record}"))
            .to_owned()
    }

    #[test]
    fn a_line_has_its_priority_and_a_daemon_that_comes_again_is_found() {
        let path = place("datagrams");
        assert!(Syslog::connect(&path, 17).is_err());
        let mut buffer = [0; 512];
        let daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::connect(&path, 17).unwrap();
        // LOG_LOCAL1 is 17: 17 * 8 + 3 is an error of it.
        syslog.send(Level::ERROR, b"one\n").unwrap();
        let read = daemon.recv(&mut buffer).unwrap();
        assert_eq!(content(&buffer[..read], "<139>"), "one");
        drop(daemon);
        fs::remove_file(&path).unwrap();
        assert!(syslog.send(Level::INFO, b"lost\n").is_err());
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::INFO, b"two\n").unwrap();
        let read = daemon.recv(&mut buffer).unwrap();
        assert_eq!(content(&buffer[..read], "<142>"), "two");
    }

    #[test]
    fn a_daemon_that_listens_for_streams_is_served_too() {
        let path = place("stream");
        let daemon = UnixListener::bind(&path).unwrap();
        let syslog = Syslog::connect(&path, 1).unwrap();
        let (mut stream, _) = daemon.accept().unwrap();
        syslog.send(Level::WARN, b"one\n").unwrap();
        syslog.send(Level::WARN, b"two\n").unwrap();
        drop(syslog);
        let mut read = Vec::new();
        stream.read_to_end(&mut read).unwrap();
        let records: Vec<&[u8]> = read.split(|byte| *byte == 0).collect();
        assert_eq!(content(records[0], "<12>"), "one");
        assert_eq!(content(records[1], "<12>"), "two");
    }

    #[test]
    fn a_daemon_that_reads_nothing_holds_up_nobody() {
        let path = place("deaf");
        let _daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::connect(&path, 1).unwrap();
        let lost = (0..10_000).any(|_| syslog.send(Level::INFO, &[b'x'; 1000]).is_err());
        assert!(lost, "its queue has no end");
    }
}

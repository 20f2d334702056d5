//! Sending batches: whatever the kernel does not take at once is dropped and counted, since UDP may lose packets and a
//! worker may not wait.

use std::{io, iter, net::SocketAddr, ops::AddAssign, os::fd::BorrowedFd};
#[cfg(target_os = "linux")]
use std::{iter::Peekable, ops::Range};

#[cfg(target_os = "linux")]
use crate::linux;
use crate::{Backend, plain};

/// One packet to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where it goes.
    pub to: SocketAddr,
    /// What it holds.
    pub bytes: &'a [u8],
    /// DSCP and ECN of its IP header; zero costs nothing. [`Backend::Plain`] leaves it zero.
    pub traffic_class: u8,
}

/// What became of the packets of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct SendReport {
    /// Packets that the kernel took.
    pub sent: usize,
    /// Packets dropped because the socket's buffer or the system's memory was full.
    pub dropped_full: usize,
    /// Packets refused one by one: too large, forbidden, no route.
    pub failed: usize,
}

impl AddAssign for SendReport {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.dropped_full += other.dropped_full;
        self.failed += other.failed;
    }
}

/// Whether packets may leave a socket in trains: runs to one place, of one length, that pass through the system as one and become datagrams
/// again at the way out. It is so until the way out of this socket refuses to take one, and never again then.
#[derive(Debug, Default)]
pub struct Trains {
    refused: bool,
}

impl Trains {
    /// Whether trains are still offered.
    pub fn may_leave(&self) -> bool {
        !self.refused
    }
}

/// Sends packets in batches, with the scratch for the system calls allocated once.
pub struct Sender {
    outbound: Outbound,
}

enum Outbound {
    #[cfg(target_os = "linux")]
    Batched {
        outbound: linux::Outbound,
        /// Whether this system has trains.
        trains: bool,
    },
    Plain,
}

impl Sender {
    /// Prepares for batches of up to `batch` packets per system call, at least one.
    pub fn new(backend: Backend, batch: usize) -> Self {
        let outbound = match backend {
            #[cfg(target_os = "linux")]
            Backend::Batched => Outbound::Batched {
                outbound: linux::Outbound::new(batch.max(1)),
                trains: linux::sends_trains(),
            },
            _ => {
                let _ = batch;
                Outbound::Plain
            }
        };
        Self { outbound }
    }

    /// Sends all packets through one socket, in order, each by itself, in as many batches as they need. Never blocks.
    ///
    /// A packet that the kernel refuses twice is skipped: the first refusal may tell of an earlier packet, for an error that
    /// is pending on a socket is taken off by whichever call comes next. At the first sign of a full buffer the rest is dropped.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        packets: impl IntoIterator<Item = Outgoing<'a>>,
    ) -> SendReport {
        self.send_trains(socket, &mut Trains { refused: true }, packets)
    }

    /// The same, in trains wherever packets stand together that may be of one. The packets of a train that is refused are sent
    /// each by itself: some may be too long for the way out unless they are fragmented, which those of a train never are.
    #[inline]
    pub fn send_trains<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        way_out: &mut Trains,
        packets: impl IntoIterator<Item = Outgoing<'a>>,
    ) -> SendReport {
        let mut packets = packets.into_iter();
        let Some(first) = packets.next() else {
            return SendReport::default();
        };
        let mut packets = packets.peekable();
        match &mut self.outbound {
            #[cfg(target_os = "linux")]
            Outbound::Batched { .. } if first.traffic_class == 0 && packets.peek().is_none() => {
                tried_twice(|| linux::send_one(socket, &first))
            }
            #[cfg(target_os = "linux")]
            Outbound::Batched { outbound, trains } => {
                way_out.refused |= !*trains;
                send_batched(outbound, socket, way_out, (first, packets))
            }
            Outbound::Plain => {
                let _ = way_out;
                send_singly(socket, iter::once(first).chain(packets))
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn send_batched<'a>(
    outbound: &mut linux::Outbound,
    socket: BorrowedFd<'_>,
    trains: &mut Trains,
    (first, mut packets): (Outgoing<'a>, Peekable<impl Iterator<Item = Outgoing<'a>>>),
) -> SendReport {
    let mut report = SendReport::default();
    let mut next = Some(first);
    while let Some(first) = next.take().or_else(|| packets.next()) {
        let mut batch = outbound.fill(first, &mut packets, !trains.refused);
        let (mut done, mut refused) = (0, false);
        while done < batch.len() {
            // The call stops at the first header that fails, and names the failure only when that is the first of all.
            match batch.send(socket, done) {
                Ok(count @ 1..) => {
                    report.sent += packets_of(&batch, done..done + count);
                    done += count;
                    refused = false;
                }
                Err(error) if is_full(&error) => {
                    report.dropped_full += packets_of(&batch, done..batch.len());
                    report.dropped_full += packets.count();
                    return report;
                }
                Err(_) if !refused => refused = true,
                refusal => {
                    if refusal.is_err_and(|error| error.raw_os_error() == Some(libc::EIO)) {
                        trains.refused = true;
                    }
                    if batch.packets(done) == 1 {
                        report.failed += 1;
                    } else {
                        report += send_apart(&mut batch, socket, done);
                    }
                    done += 1;
                    refused = false;
                }
            }
        }
    }
    report
}

#[cfg(target_os = "linux")]
fn packets_of(batch: &linux::Filled<'_, '_>, headers: Range<usize>) -> usize {
    headers.map(|header| batch.packets(header)).sum()
}

/// Sends the packets of a train each by itself.
#[cfg(target_os = "linux")]
fn send_apart(
    batch: &mut linux::Filled<'_, '_>,
    socket: BorrowedFd<'_>,
    header: usize,
) -> SendReport {
    let mut report = SendReport::default();
    for packet in 0..batch.packets(header) {
        report += tried_twice(|| batch.send_alone(socket, header, packet));
    }
    report
}

fn send_singly<'a>(
    socket: BorrowedFd<'_>,
    mut packets: impl Iterator<Item = Outgoing<'a>>,
) -> SendReport {
    let mut report = SendReport::default();
    while let Some(packet) = packets.next() {
        let one = tried_twice(|| plain::send(socket, &packet));
        report += one;
        if one.dropped_full > 0 {
            report.dropped_full += packets.count();
            return report;
        }
    }
    report
}

/// Sends one packet, once more where the first refusal may tell of an earlier packet.
fn tried_twice(mut send: impl FnMut() -> io::Result<usize>) -> SendReport {
    let sent = match send() {
        Err(error) if !is_full(&error) => send(),
        first => first,
    };
    let mut report = SendReport::default();
    match sent {
        Ok(_) => report.sent = 1,
        Err(error) if is_full(&error) => report.dropped_full = 1,
        Err(_) => report.failed = 1,
    }
    report
}

/// Whether the next packet would fail for the same reason.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

//! One connection: messages out of its bytes, messages into them, both within bounds.
//!
//! Reading goes into an arena slot, so that relayed data leaves from where it was read, as with datagrams. A connection
//! itself keeps only the beginning of a message whose end has not come. Writing goes straight to the socket; what it does not
//! take waits in a bounded backlog.

use std::io::{self, IoSlice};

use mio::net::TcpStream;
use turn_proto::{ConnectionTicket, Path, Secured};
use turn_wire::stream::{Frame, next_frame};

use super::{
    backlog::Backlog,
    bytes::{Bytes, Entrance, Incoming, Stage},
};
use crate::{
    Guest,
    data::ClientSide,
    outbox::{Message, Pending},
};

/// Bytes that may wait for a client that has an allocation. Media that is older than this is of no use any more.
const BACKLOG: usize = 64 * 1024;

/// Bytes that may wait, in either direction, for a client without an allocation: requests and answers are small, and
/// anybody can open a connection.
const STRANGER: usize = 4 * 1024;

/// Messages per system call.
const GATHER: usize = 64;

/// A connection of a client.
pub(crate) struct Connection {
    /// What is queued for the client.
    pub(crate) pending: Pending,
    /// Whether it stands on the list of ready sources.
    pub(crate) ready: bool,
    /// Whether the poller has told that the client will send no more: then a short read is not yet all.
    pub(crate) ending: bool,
    /// Whether the client has an allocation.
    pub(crate) allocated: bool,
    /// Whether it ever had one. What it sends to a channel after the end may still be on its way.
    pub(crate) has_allocated: bool,
    /// Whether a message of it has been served.
    pub(crate) has_spoken: bool,
    /// Its place among the connections that its network may have.
    pub(crate) ticket: Option<ConnectionTicket>,
    path: Path,
    /// Whether a proxy brought it.
    proxied: bool,
    bytes: Bytes,
    partial: Vec<u8>,
    backlog: Backlog,
}

/// What reading has led to.
#[derive(Debug)]
pub(crate) enum Intake {
    /// That many bytes of messages stand at the beginning of the buffer.
    Messages {
        /// How many bytes.
        length: usize,
        /// Whether there may be more to read.
        more: bool,
    },
    /// No whole message yet.
    Nothing {
        /// Whether there may be more to read.
        more: bool,
    },
    /// The stream ended or broke.
    Ended,
    /// The stream ended or broke before its first message could come: no handshake, or none that is served.
    Refused(io::Error),
    /// The bytes are no messages, or are too many for a client without an allocation.
    Misframed,
}

/// What became of messages to a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Messages dropped because the client reads too slowly.
    pub(crate) dropped: u64,
    /// An answer was among the dropped ones: the client would wait for it for ever.
    pub(crate) overflowed: bool,
    /// The stream is broken.
    pub(crate) broken: bool,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream, path: Path, entrance: Entrance) -> Self {
        Self {
            pending: Pending::default(),
            ready: false,
            ending: false,
            allocated: false,
            has_allocated: false,
            has_spoken: false,
            proxied: false,
            ticket: None,
            path,
            bytes: Bytes::new(socket, entrance),
            partial: Vec::new(),
            backlog: Backlog::default(),
        }
    }

    pub(crate) fn path(&self) -> Path {
        self.path
    }

    /// How far it has come before its first message.
    pub(crate) fn stage(&self) -> Stage {
        self.bytes.stage()
    }

    /// Finds out what it begins with; tells whether it has begun.
    ///
    /// # Errors
    /// When it has ended already, or begins with what is not served.
    pub(crate) fn open(&mut self) -> io::Result<bool> {
        if self.bytes.stage() == Stage::Preface {
            let Some(preface) = self.bytes.take_preface(self.ending)? else {
                return Ok(false);
            };
            self.path.client = preface.client.unwrap_or(self.path.client);
            self.proxied = true;
        }
        let open = self.bytes.open();
        self.path.transport = self.bytes.transport();
        open
    }

    /// Tells the client that nothing more will come.
    pub(crate) fn close(&mut self) {
        self.bytes.close();
    }

    /// Reads once into `buffer`, behind the beginning of a message that came earlier.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Intake {
        let held = self.partial.len();
        let Some(room) = buffer.get_mut(held..) else {
            return Intake::Misframed;
        };
        let (count, more) = match self.bytes.read(room) {
            Ok(Incoming::Bytes { count, more }) => (count, more || self.ending),
            Ok(Incoming::Nothing { more }) => return Intake::Nothing { more },
            Ok(Incoming::End) => return Intake::Ended,
            Err(_) if self.bytes.stage() == Stage::Open => return Intake::Ended,
            Err(error) => return Intake::Refused(error),
        };
        let length = held + count;
        let Some(read) = room.get(..count) else {
            return Intake::Ended;
        };
        if held > 0 && !self.completes(read) {
            return self.keep_reading(more);
        }
        // Only now, so that a message that comes in drips is not copied to and fro with each of them.
        if let Some(front) = buffer.get_mut(..held) {
            front.copy_from_slice(&self.partial[..held]);
        }
        self.partial.clear();
        self.partial.shrink_to(STRANGER);
        Intake::Messages { length, more }
    }

    /// Keeps the beginning of a message for the next read; tells whether it is acceptable.
    pub(crate) fn keep(&mut self, rest: &[u8]) -> bool {
        self.partial.clear();
        self.partial.extend_from_slice(rest);
        self.allocated || rest.len() <= STRANGER
    }

    /// Writes messages, and queues what the socket does not take, within bounds.
    pub(crate) fn deliver<'a>(
        &mut self,
        mut messages: impl Iterator<Item = Message<'a>>,
    ) -> Delivery {
        let mut delivery = Delivery::default();
        while self.backlog.is_empty() {
            let mut gathered: [Option<Message<'a>>; GATHER] = [const { None }; GATHER];
            let mut count = 0;
            for (place, message) in gathered.iter_mut().zip(messages.by_ref()) {
                *place = Some(message);
                count += 1;
            }
            if count == 0 {
                return delivery;
            }
            if self
                .write_gathered(&gathered[..count], &mut delivery)
                .is_err()
            {
                delivery.broken = true;
                return delivery;
            }
        }
        for message in messages {
            self.offer(&message, &mut delivery);
        }
        delivery
    }

    /// Writes what waits, after the socket became writable; an error when the stream is broken.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.bytes.flush()?;
        while !self.backlog.is_empty() {
            let count = self
                .bytes
                .write(&mut [IoSlice::new(self.backlog.as_slice())])?;
            if count == 0 {
                break;
            }
            self.backlog.consume(count);
        }
        Ok(())
    }

    /// What is left of it when it carries no messages any more (RFC 6062 §5.4).
    pub(crate) fn into_client_side(self) -> ClientSide {
        ClientSide {
            bytes: self.bytes,
            unsent: self.backlog,
            ahead: Backlog::default(),
            ticket: self.ticket,
        }
    }

    /// Writes a last word, as far as it is taken.
    pub(crate) fn say(&mut self, words: &[u8]) {
        let _ = self.bytes.write(&mut [IoSlice::new(words)]);
        let _ = self.bytes.flush();
    }

    /// How it is secured, if it is.
    pub(crate) fn secured(&self) -> Option<Secured> {
        self.bytes.secured()
    }

    /// Whether these bytes, of which none has been served, begin a request of HTTP inside TLS.
    pub(crate) fn begins_http(&self, bytes: &[u8]) -> bool {
        !self.has_spoken && self.bytes.begins_http(bytes)
    }

    /// What is left of it when others serve it, from these bytes on.
    pub(crate) fn into_guest(self, ahead: Vec<u8>) -> Option<Guest> {
        let (socket, tls) = self.bytes.into_secure()?;
        Some(Guest {
            socket: socket.into(),
            tls,
            ahead,
            client: self.path.client,
            proxied: self.proxied,
        })
    }

    /// The socket, for a poller.
    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        self.bytes.socket_mut()
    }

    /// Whether the bytes read end the message begun earlier (or show that it is none, which the caller will find).
    fn completes(&mut self, read: &[u8]) -> bool {
        self.partial.extend_from_slice(read);
        let whole = !matches!(next_frame(&self.partial), Ok(Frame::Incomplete));
        if whole {
            self.partial.truncate(self.partial.len() - read.len());
        }
        whole
    }

    fn keep_reading(&self, more: bool) -> Intake {
        if self.allocated || self.partial.len() <= STRANGER {
            Intake::Nothing { more }
        } else {
            Intake::Misframed
        }
    }

    fn write_gathered(
        &mut self,
        gathered: &[Option<Message<'_>>],
        delivery: &mut Delivery,
    ) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); GATHER];
        for (slice, message) in slices.iter_mut().zip(gathered.iter().flatten()) {
            *slice = IoSlice::new(message.bytes);
        }
        let mut written = self.bytes.write(&mut slices[..gathered.len()])?;
        for message in gathered.iter().flatten() {
            if written >= message.bytes.len() {
                written -= message.bytes.len();
            } else if written > 0 {
                // A message that has begun must end, or all that follow would be lost with it.
                self.backlog
                    .push(message.bytes.get(written..).unwrap_or_default());
                written = 0;
            } else {
                self.offer(message, delivery);
            }
        }
        Ok(())
    }

    fn offer(&mut self, message: &Message<'_>, delivery: &mut Delivery) {
        let limit = if self.allocated { BACKLOG } else { STRANGER };
        if !self.backlog.offer(message.bytes, limit) {
            delivery.dropped += 1;
            delivery.overflowed |= message.is_answer;
        }
    }
}

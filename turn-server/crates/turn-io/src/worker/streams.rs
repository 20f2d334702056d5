//! Connections: what they begin with, messages in, and their ends.
//!
//! Not in here: accepting them (`accepting.rs`).

use std::io;

use mio::event::Event as Readiness;
use tracing::debug;
use turn_proto::{LinkId, Path};
use turn_wire::stream::{Frame, next_frame};

use super::{Served, Worker};
use crate::{
    source::Source,
    streams::{Intake, Stage},
};

/// What a step of a TLS handshake counts for in a turn, in packets: a signature with an RSA key takes 700 µs. So clients who
/// connect hold up the media of others by no more than some milliseconds.
const HANDSHAKE_COST: usize = 128;

impl Worker {
    /// Notes that a connection can be read, written, or both.
    pub(super) fn note_stream(&mut self, link: LinkId, event: &Readiness) {
        let Some(connection) = self.sockets.streams.at_mut(link) else {
            return;
        };
        connection.ending |= event.is_read_closed() || event.is_error();
        if event.is_writable() && connection.resume().is_err() {
            self.doomed.push(link);
        }
        // An error is found by reading.
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.sockets.enlist(Source::Stream(link));
        }
    }

    /// Reads once from a connection and serves the messages that are whole.
    pub(super) fn serve_stream(&mut self, link: LinkId) -> Served {
        let Some(stage) = self.open_stream(link) else {
            return Served::NOTHING;
        };
        let slot = self.free_slots();
        let (Some(connection), Some(buffer)) = (
            self.sockets.streams.at_mut(link),
            self.arena.buffer_mut(slot),
        ) else {
            return Served::NOTHING;
        };
        let intake = connection.receive(buffer);
        let path = connection.path();
        let cost = if stage == Stage::Handshake {
            self.note_handshake(link);
            HANDSHAKE_COST
        } else {
            0
        };
        match intake {
            Intake::Messages { length, more } => {
                self.used_slots = slot + 1;
                let packets = cost + self.serve_messages(&path, slot, length);
                Served { packets, more }
            }
            Intake::Nothing { more } => Served {
                packets: cost,
                more,
            },
            Intake::Refused(error) => {
                self.refuse_stream(link, &error);
                Served {
                    packets: cost,
                    more: false,
                }
            }
            Intake::Ended => {
                self.lose_stream(link);
                Served::NOTHING
            }
            Intake::Misframed => {
                self.misframed(link);
                Served::NOTHING
            }
        }
    }

    /// Closes a connection from our side or after its end, and tells the state machine.
    pub(super) fn lose_stream(&mut self, link: LinkId) {
        if self.close_stream(link) {
            self.relay.on_link_closed(self.now, link);
            self.serve_actions();
        }
    }

    /// Closes a connection after what is queued for it is sent; tells whether there was one.
    pub(super) fn close_stream(&mut self, link: LinkId) -> bool {
        if self
            .sockets
            .streams
            .at_mut(link)
            .is_some_and(|connection| connection.pending.is_some())
        {
            self.flush();
        }
        let Some(mut connection) = self.sockets.streams.remove(link) else {
            return false;
        };
        connection.close();
        true
    }

    /// Finds out what a connection begins with, and tells how far it has come; `None` where there is nothing to read yet,
    /// or nothing that is served.
    fn open_stream(&mut self, link: LinkId) -> Option<Stage> {
        let connection = self.sockets.streams.at_mut(link)?;
        let before = connection.stage();
        if !matches!(before, Stage::Preface | Stage::Silent) {
            return Some(before);
        }
        let open = connection.open();
        let (stage, path) = (connection.stage(), connection.path());
        if let Err(error) = &open {
            self.refuse_stream(link, error);
            return None;
        }
        // Whose it is has come with this step.
        if before == Stage::Preface && stage != before && !self.admit_announced(&path) {
            self.lose_stream(link);
            return None;
        }
        if !open.is_ok_and(|open| open) {
            return None;
        }
        // Before anything is computed for it.
        let now = self.now.mono;
        if stage == Stage::Handshake
            && let Some(oldest) = self.sockets.streams.begin_handshake(now, link)
        {
            self.sockets.counters.streams_refused += 1;
            self.lose_stream(oldest);
        }
        Some(stage)
    }

    /// Counts a handshake that is over.
    fn note_handshake(&mut self, link: LinkId) {
        let connection = self.sockets.streams.at_mut(link);
        if connection.is_some_and(|connection| connection.stage() == Stage::Open) {
            self.sockets.streams.end_handshake();
            self.sockets.counters.tls_handshakes += 1;
        }
    }

    /// Closes a connection that could not carry a message.
    fn refuse_stream(&mut self, link: LinkId, error: &io::Error) {
        self.sockets.counters.streams_unopened += 1;
        if let Some(connection) = self.sockets.streams.at_mut(link) {
            let client = connection.path().client;
            debug!(%client, %error, "connection closed before its first message");
        }
        self.lose_stream(link);
    }

    /// Serves the messages in the first `length` bytes of a slot, and keeps what is left for the next read.
    fn serve_messages(&mut self, path: &Path, slot: usize, length: usize) -> usize {
        let (mut start, mut count) = (0, 0);
        loop {
            let Some(rest) = self.arena.bytes(slot, start..length) else {
                return count;
            };
            // What follows the end of a connection must not begin anything on it.
            let Some(connection) = self.sockets.streams.at_mut(path.link) else {
                return count;
            };
            // `GET` and `SSH-` look like the beginning of a long ChannelData message. Nobody has a channel before an
            // allocation, so there is nothing to wait for.
            if !connection.has_allocated && is_channel_data(rest) {
                if self.guests.is_some() && connection.begins_http(rest) {
                    let ahead = rest.to_vec();
                    self.hand_over_guest(path.link, ahead);
                } else if let Some(answer) = self.http.answer(rest) {
                    // Whatever the socket does not take at once is not worth waiting for.
                    connection.say(&answer);
                    self.misframed(path.link);
                } else {
                    self.misframed(path.link);
                }
                return count;
            }
            match next_frame(rest) {
                Ok(Frame::Whole(size)) => {
                    connection.has_spoken = true;
                    let output =
                        self.relay
                            .on_client(self.now, path, rest.get(..size).unwrap_or_default());
                    // §15: whatever DSCP the connection has, datagrams to the peer have none, and no ECN.
                    self.sockets.queue_output(output, path, (slot, start), 0);
                    self.serve_actions();
                    start += size;
                    count += 1;
                    if let Some(leaving) = self.leaving.take() {
                        // What follows is for the peer; the answer before it has been sent.
                        let ahead = self.arena.bytes(slot, start..length);
                        let ahead = ahead.unwrap_or_default().to_vec();
                        self.hand_over(leaving, &ahead);
                        return count;
                    }
                }
                Ok(Frame::Incomplete) => {
                    if !connection.keep(rest) {
                        self.misframed(path.link);
                    }
                    return count;
                }
                Err(_) => {
                    self.misframed(path.link);
                    return count;
                }
            }
        }
    }

    fn misframed(&mut self, link: LinkId) {
        self.sockets.counters.streams_misframed += 1;
        self.lose_stream(link);
    }
}

/// Tells whether bytes begin as ChannelData does (RFC 8656 §12).
fn is_channel_data(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 6 == 0b01)
}

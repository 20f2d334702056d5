//! Plain counters of the drivers; their names for the outside are given elsewhere.

use std::ops::AddAssign;

use turn_proto::{Bounds, Histogram};

/// How long a turn of a worker takes, in microseconds: a packet or two take 50, a full turn a few thousand.
pub const TURN_TIMES: Bounds = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000,
];

/// How many things wait in a queue.
pub const DEPTHS: Bounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048];

/// What the workers have counted: the state machines' side and the drivers' side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Decisions: requests, sessions, relayed packets.
    pub relay: turn_proto::Stats,
    /// Sockets: what was lost on the way in or out.
    pub io: Counters,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.relay += other.relay;
        self.io += other.io;
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the drivers have counted since their start, and a gauge.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            /// How long turns have taken, of every sixteenth: [`TURN_TIMES`].
            pub turn_times: Histogram,
            /// How many packets waited to be sent, each time that they were: [`DEPTHS`].
            pub outbox_depths: Histogram,
            /// How many letters waited in the mailbox, each time that it was opened: [`DEPTHS`].
            pub mailbox_depths: Histogram,
            $($(#[$doc])* pub $name: u64,)*
        }
        impl Counters {
            /// Each of its plain numbers by its name, so that whoever shows them can test that none is left out.
            pub fn numbers(&mut self) -> Vec<(&'static str, &mut u64)> {
                vec![$((stringify!($name), &mut self.$name),)*]
            }
        }
        impl AddAssign for Counters {
            fn add_assign(&mut self, other: Self) {
                self.turn_times += other.turn_times;
                self.outbox_depths += other.outbox_depths;
                self.mailbox_depths += other.mailbox_depths;
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Times that a worker woke up.
    turns,
    /// Batches of datagrams asked for, empty ones and errors among them.
    receive_calls,
    /// Datagrams received on all sockets.
    datagrams_received,
    /// Batches of datagrams sent, one for each socket.
    send_calls,
    /// Datagrams that the kernel took for sending.
    datagrams_sent,
    /// Datagrams dropped because a socket's send buffer was full.
    datagrams_dropped_full,
    /// Datagrams that the kernel refused: too large, forbidden, no route.
    datagrams_failed,
    /// Errors pending on datagram sockets, most of them ICMP about earlier packets.
    receive_errors,
    /// ICMP errors about datagrams to peers.
    icmp_errors,
    /// Datagrams of strangers to a listener that is closed to them and lives on for its sessions.
    datagrams_unwanted,
    /// Messages for a connection or relay socket that was closed meanwhile.
    undeliverable,
    /// Connections accepted.
    streams_accepted,
    /// Connections open (gauge).
    streams_open,
    /// Connections closed at once because there were too many, of clients or of those that speak HTTP.
    streams_refused,
    /// Connections without an allocation closed because there were too many, to make room for another.
    streams_displaced,
    /// Connections closed at once because the lists keep their clients out.
    streams_denied,
    /// Connections closed because their bytes were no STUN and no ChannelData.
    streams_misframed,
    /// Connections closed because they had no allocation for too long.
    streams_idle,
    /// Connections closed because their client did not read our answers.
    streams_overflowed,
    /// Connections closed before they could carry a message: no handshake, a failed one, or one that took too long.
    streams_unopened,
    /// Connections handed over because they speak HTTP.
    streams_handed_over,
    /// TLS handshakes completed.
    tls_handshakes,
    /// Clients over DTLS asked for a cookie.
    dtls_asked,
    /// DTLS handshakes completed.
    dtls_handshakes,
    /// DTLS associations, those in their handshake included (gauge).
    dtls_associations,
    /// Clients with a good cookie that were sent away because there were too many, or because nothing is common.
    dtls_refused,
    /// DTLS associations without an allocation closed because there were too many, to make room for another.
    dtls_displaced,
    /// DTLS associations that ended before they could carry a message.
    dtls_unopened,
    /// DTLS associations closed because they had no allocation for too long.
    dtls_idle,
    /// Datagrams of DTLS that belong to no association.
    dtls_stray,
    /// Messages dropped because a connection's client reads too slowly.
    stream_messages_dropped,
    /// Failures to accept a connection, for one when descriptors ran out.
    accept_errors,
    /// Packets from one allocation to another dropped because its worker was too busy to take them.
    passed_dropped,
    /// Events dropped because nobody read them fast enough.
    events_dropped,
}

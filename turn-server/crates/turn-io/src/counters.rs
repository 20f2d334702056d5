//! Plain counters of the drivers; their names for the outside are given elsewhere.

use std::ops::AddAssign;

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
            $($(#[$doc])* pub $name: u64,)*
        }
        impl AddAssign for Counters {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Times that a worker woke up.
    turns,
    /// Datagrams received on all sockets.
    datagrams_received,
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
    /// Messages for a connection or relay socket that was closed meanwhile.
    undeliverable,
    /// Connections accepted.
    streams_accepted,
    /// Connections open (gauge).
    streams_open,
    /// Connections closed at once because there were too many, of clients or of those that speak HTTP.
    streams_refused,
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

//! Plain counters; their names for the outside are given elsewhere.

use std::ops::AddAssign;

use std::time::Duration;

use turn_wire::Method;

use crate::{Bounds, CapCounters, EndReason, Histogram, Tally, meter::Direction};

/// The error codes that requests are answered with.
pub const ERROR_CODES: [u16; 16] = [
    300, 400, 401, 403, 405, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 508,
];

/// The methods of requests besides Binding; the last is any other.
pub const METHODS: [&str; 7] = [
    "allocate",
    "refresh",
    "create_permission",
    "channel_bind",
    "connect",
    "connection_bind",
    "other",
];

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// How long sessions last, in microseconds: from a call that failed to a day.
pub const SESSION_TIMES: Bounds = [
    SECOND,
    5 * SECOND,
    15 * SECOND,
    60 * SECOND,
    300 * SECOND,
    900 * SECOND,
    1_800 * SECOND,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    12 * HOUR,
    24 * HOUR,
];

/// How many bytes sessions receive from and send to their clients: from a call without media to a day of video.
pub const SESSION_BYTES: Bounds = [
    1_000,
    10_000,
    100_000,
    1_000_000,
    3_000_000,
    10_000_000,
    30_000_000,
    100_000_000,
    300_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
];

/// Packets and payload bytes of one session or of all, seen from the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets received from clients.
    pub client_received_packets: u64,
    /// Bytes received from clients, whole messages.
    pub client_received_bytes: u64,
    /// Packets sent to clients.
    pub client_sent_packets: u64,
    /// Bytes sent to clients, whole messages.
    pub client_sent_bytes: u64,
    /// Packets received from peers.
    pub peer_received_packets: u64,
    /// Payload bytes received from peers.
    pub peer_received_bytes: u64,
    /// Packets sent to peers.
    pub peer_sent_packets: u64,
    /// Payload bytes sent to peers.
    pub peer_sent_bytes: u64,
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one worker has counted since its start, and its gauges.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            /// What was relayed, live.
            pub traffic: Traffic,
            /// How often each limit was reached: requests refused, packets dropped.
            pub limits: CapCounters,
            /// Requests answered with an error, by code: [`ERROR_CODES`].
            pub errors_by_code: Tally<{ ERROR_CODES.len() }>,
            /// Requests received besides Binding, by method: [`METHODS`].
            pub requests: Tally<{ METHODS.len() }>,
            /// Sessions ended, by reason: [`EndReason::ALL`].
            pub ended: Tally<{ EndReason::ALL.len() }>,
            /// How long sessions have lasted that have ended: [`SESSION_TIMES`].
            pub session_times: Histogram,
            /// How many bytes they have received from and sent to their clients: [`SESSION_BYTES`].
            pub session_bytes: Histogram,
            $($(#[$doc])* pub $name: u64,)*
        }
        impl Stats {
            /// Each of its plain numbers by its name, so that whoever shows them can test that none is left out.
            pub fn numbers(&mut self) -> Vec<(&'static str, &mut u64)> {
                vec![$((stringify!($name), &mut self.$name),)*]
            }
        }
        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                self.traffic += other.traffic;
                self.limits += other.limits;
                self.errors_by_code += other.errors_by_code;
                self.requests += other.requests;
                self.ended += other.ended;
                self.session_times += other.session_times;
                self.session_bytes += other.session_bytes;
                $(self.$name += other.$name;)*
            }
        }
    };
}

stats! {
    /// Binding requests received.
    binding_requests,
    /// Binding requests answered with success.
    binding_responses,
    /// Binding requests answered with an error.
    binding_errors,
    /// Requests without valid credentials.
    unauthorized,
    /// Answers to strangers that were withheld because their network had too many.
    replies_withheld,
    /// Those of them that would have said 401.
    unauthorized_withheld,
    /// Requests answered with 438.
    stale_nonces,
    /// Requests answered with any error.
    errors,
    /// Requests answered with success.
    successes,
    /// Allocations alive over UDP (gauge).
    allocations_udp,
    /// Allocations alive over TCP (gauge).
    allocations_tcp,
    /// Allocations alive over TLS (gauge).
    allocations_tls,
    /// Allocations alive over DTLS (gauge).
    allocations_dtls,
    /// Allocations made.
    allocations_created,
    /// Permissions held (gauge).
    permissions,
    /// Channels bound (gauge).
    channels,
    /// Connections with peers: being made, waiting or joined (gauge, RFC 6062).
    peer_connections,
    /// Packets that are neither STUN nor ChannelData, or broken.
    dropped_malformed,
    /// Well-formed packets that ask for no answer and mean nothing here.
    dropped_unexpected,
    /// Packets of a client on a channel or to a peer without a binding, permission or allocation.
    dropped_client,
    /// Packets of a peer without permission.
    dropped_peer,
    /// Packets of clients that the lists keep out.
    dropped_denied_client,
    /// Packets to a peer that the policy denies.
    dropped_policy,
}

impl Stats {
    pub(crate) fn count_error(&mut self, code: u16) {
        if let Some(place) = ERROR_CODES.iter().position(|known| *known == code) {
            self.errors_by_code.count(place);
        }
    }

    pub(crate) fn count_request(&mut self, method: Method) {
        self.requests.count(match method {
            Method::ALLOCATE => 0,
            Method::REFRESH => 1,
            Method::CREATE_PERMISSION => 2,
            Method::CHANNEL_BIND => 3,
            Method::CONNECT => 4,
            Method::CONNECTION_BIND => 5,
            _ => METHODS.len() - 1,
        });
    }

    pub(crate) fn count_end(&mut self, reason: EndReason, lasted: Duration, traffic: &Traffic) {
        self.ended.count(reason as usize);
        self.session_times.record_time(&SESSION_TIMES, lasted);
        let bytes = traffic.client_received_bytes + traffic.client_sent_bytes;
        self.session_bytes.record(&SESSION_BYTES, bytes);
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.client_received_packets += other.client_received_packets;
        self.client_received_bytes += other.client_received_bytes;
        self.client_sent_packets += other.client_sent_packets;
        self.client_sent_bytes += other.client_sent_bytes;
        self.peer_received_packets += other.peer_received_packets;
        self.peer_received_bytes += other.peer_received_bytes;
        self.peer_sent_packets += other.peer_sent_packets;
        self.peer_sent_bytes += other.peer_sent_bytes;
    }
}

impl Traffic {
    /// Counts a packet, as long as `message` on the client's side and as `payload` on the peer's.
    #[inline(always)]
    pub(crate) fn add(&mut self, direction: Direction, message: usize, payload: usize) {
        let (message, payload) = (message as u64, payload as u64);
        match direction {
            Direction::ToPeer => {
                self.client_received_packets += 1;
                self.client_received_bytes += message;
                self.peer_sent_packets += 1;
                self.peer_sent_bytes += payload;
            }
            Direction::ToClient => {
                self.peer_received_packets += 1;
                self.peer_received_bytes += payload;
                self.client_sent_packets += 1;
                self.client_sent_bytes += message;
            }
        }
    }
}

//! Plain counters; their names for the outside are given elsewhere.

use std::ops::AddAssign;

use crate::CapCounters;

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
            $($(#[$doc])* pub $name: u64,)*
        }
        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                self.traffic += other.traffic;
                self.limits += other.limits;
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
    pub(crate) fn add_to_peer(&mut self, message: usize, payload: usize) {
        self.client_received_packets += 1;
        self.client_received_bytes += message as u64;
        self.peer_sent_packets += 1;
        self.peer_sent_bytes += payload as u64;
    }

    pub(crate) fn add_to_client(&mut self, message: usize, payload: usize) {
        self.peer_received_packets += 1;
        self.peer_received_bytes += payload as u64;
        self.client_sent_packets += 1;
        self.client_sent_bytes += message as u64;
    }
}

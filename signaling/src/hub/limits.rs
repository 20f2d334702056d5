//! How much of everything there may be.
//!
//! In: the numbers and why they are so. Not in: their enforcement, which is beside what they limit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of a hub and of the connections to it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Connections in all; beyond that new ones are turned away.
    pub connections: usize,
    /// Members of a room, and of a call: a mesh of n members costs each of them n - 1 uploads.
    pub members: usize,
    /// Calls that a user may have begun or accepted when beginning another.
    pub calls_per_user: usize,
    /// Calls to which a user may be invited at once without having accepted; a user cannot help being called, so these are
    /// bounded apart from the user's own.
    pub invitations_per_user: usize,
    /// How long a call rings.
    pub ring: Duration,
    /// How long a member or a call waits for a lost connection to come back.
    pub grace: Duration,
    /// How long an offer that crosses another one waits for that to be answered, and a candidate for its description; covers a
    /// slow round trip and no more.
    pub hold: Duration,
    /// Candidates kept per direction of a pair in a call; browsers gather fewer than 40.
    pub held_candidates: usize,
    /// Bytes of a candidate that is kept; browsers' have fewer than 400.
    pub held_candidate: usize,
    /// Bytes of all candidates kept in a call.
    pub held_bytes: usize,
    /// Bytes of all offers kept in a call until they are answered; those of a full room have half of that.
    pub offer_bytes: usize,
    /// How long candidates are kept for whoever has accepted a call and not sent an answer yet; covers a browser's question
    /// whether the page may use the camera.
    pub repeat: Duration,
    /// Signals kept for a member that lost its connection, and messages waiting for a connection to take them.
    pub outbox: usize,
    /// Bytes of what clients said in the messages that wait for a connection to take them.
    pub outbox_bytes: usize,
    /// Bytes of the signals that are kept for a member that lost its connection: four of the largest size.
    pub backlog_bytes: usize,
    /// How long messages to an absent peer wait for it; peerjs-server's own limit, to which its clients are used.
    pub peer_wait: Duration,
    /// Bytes that one sender may have waiting for absent peers: two offers of the largest size.
    pub peer_bytes_each: usize,
    /// Bytes that wait for absent peers in all.
    pub peer_bytes: usize,
    /// Bytes of one message.
    pub message: usize,
    /// Messages per second that a connection may send.
    pub rate: u32,
    /// Messages that it may send at once before that.
    pub burst: u32,
    /// How long a connection may take to say who it is.
    pub hello: Duration,
    /// How long presence changes are gathered before they are told.
    pub presence_interval: Duration,
    /// Users named in one presence message; 500 names of full length are 64 KiB.
    pub presence_page: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 20_000,
            members: 6,
            calls_per_user: 16,
            invitations_per_user: 16,
            ring: Duration::from_secs(45),
            grace: Duration::from_secs(20),
            hold: Duration::from_secs(2),
            held_candidates: 64,
            held_candidate: 4_096,
            held_bytes: 65_536,
            offer_bytes: 262_144,
            repeat: Duration::from_secs(20),
            // A burst that a sender is permitted, to a reader that is in good health, and what else comes at that moment.
            outbox: 128,
            // Eight messages of the largest size; what browsers of a full room say at once is half of that. Without, 60 clients that
            // read nothing, and 60 that talk to them, made a process take 380 MiB within two seconds.
            outbox_bytes: 524_288,
            backlog_bytes: 262_144,
            peer_wait: Duration::from_secs(5),
            peer_bytes_each: 131_072,
            peer_bytes: 16 * 1_048_576,
            message: 65_536,
            rate: 20,
            burst: 100,
            hello: Duration::from_secs(5),
            presence_interval: Duration::from_secs(1),
            presence_page: 500,
        }
    }
}

//! What a server answers on its control socket; the page that describes it all is [`super::protocol`].

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::protocol::{Address, Level, Transport};

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// One of the sessions asked for; more lines follow.
    Session(Box<Session>),
    /// How the server is.
    Status(Box<Status>),
    /// The numbers of the sessions that were ended.
    Killed(Vec<String>),
    /// The level in force.
    LogLevel(Level),
    /// The page that Prometheus reads.
    Metrics(String),
    /// It is done.
    Done(Done),
    /// It is not done, and why.
    Error(String),
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// How many lines of sessions came before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// In words, for whoever has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its number, as logs have it.
    pub id: String,
    /// The user, without the timestamp of a time-limited name.
    pub user: String,
    /// USERNAME as sent.
    pub username: String,
    /// The client's transport.
    pub transport: Transport,
    /// The client's address as the server sees it.
    pub client: SocketAddr,
    /// The server's address that the client uses.
    pub server: SocketAddr,
    /// `udp`, or `tcp` for one that makes connections with peers.
    pub relay_transport: Transport,
    /// The relayed addresses: one, or one of each IP version.
    pub relayed: Vec<Relayed>,
    /// Who may send to the client.
    pub peers: Vec<Peer>,
    /// Seconds since it began.
    pub age: u64,
    /// What it has relayed.
    pub traffic: Traffic,
}

/// One relayed address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relayed {
    /// Where the server's socket is.
    pub local: SocketAddr,
    /// What the client was told.
    pub advertised: SocketAddr,
    /// Seconds until it ends unless it is refreshed.
    pub expires_in: u64,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address, with its port where the session names one.
    pub address: Address,
    /// The channel that is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u16>,
}

/// What a session, or all together, have relayed. Bytes with clients are whole messages, with peers payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Received from the client.
    pub from_client: Count,
    /// Sent to the client.
    pub to_client: Count,
    /// Received from peers.
    pub from_peers: Count,
    /// Sent to peers.
    pub to_peers: Count,
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say all")]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime: u64,
    /// Whether it takes new sessions.
    pub draining: bool,
    /// Its worker threads.
    pub workers: usize,
    /// What it listens on, and what it keeps open for sessions that are left there.
    pub listening: Vec<String>,
    /// Sessions by transport.
    pub sessions: Sessions,
    /// Sessions made since its start.
    pub sessions_created: u64,
    /// Connections of clients.
    pub connections: u64,
    /// Relay ports in use.
    pub relay_ports_used: u64,
    /// Relay ports that there are.
    pub relay_ports: u64,
    /// What all sessions have relayed.
    pub traffic: Traffic,
    /// Packets that were not relayed.
    pub dropped: u64,
    /// Which log lines are written.
    pub log_level: Level,
}

/// Sessions by transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say all")]
pub struct Sessions {
    pub udp: u64,
    pub tcp: u64,
    pub tls: u64,
    pub dtls: u64,
}

//! What goes into the state machine and what comes out, apart from configuration.

use std::{fmt, net::SocketAddr, ops::Range, sync::Arc, time::Duration};

use crate::{Config, Member, Message, Parcel, PeerAddr, PeerIp, PortClaim, Traffic};

/// Both clocks of one instant, read once per turn of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since any fixed origin; never goes back. Lifetimes are measured with it.
    pub mono: Duration,
    /// Seconds since 1970; may jump. Credentials and nonces are dated with it.
    pub unix: u64,
}

/// How a client reaches the server (RFC 8656 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A plain stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
    /// Datagrams inside DTLS.
    Dtls,
}

impl Transport {
    /// Tells whether messages are framed in a stream, which obliges ChannelData to be padded (RFC 8656 §12.5).
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// Tells whether its links are one client's each, and end: then an allocation ends with its link (RFC 8656 §3.1; for DTLS
    /// the same, as the association is what shows that the client is still the one that it was).
    pub fn is_connection(self) -> bool {
        self != Self::Udp
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS/TCP",
            Self::Dtls => "DTLS",
        })
    }
}

/// The driver's name for a listening datagram socket or for one stream; not reused while the relay may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// The way between a client and the server: the 5-tuple (RFC 8656 §2) and the driver's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The transport.
    pub transport: Transport,
    /// The socket or connection.
    pub link: LinkId,
    /// The client's transport address as the server sees it.
    pub client: SocketAddr,
    /// The server's transport address that the client used.
    pub server: SocketAddr,
}

impl Path {
    /// The address that a nonce is bound to. Over streams the port is left out: it is proven anyway, and a client takes the
    /// nonce of its control connection along to its data connections (RFC 6062 §4.3).
    pub(crate) fn challenged(&self) -> SocketAddr {
        let mut client = self.client;
        if self.transport.is_stream() {
            client.set_port(0);
        }
        client
    }
}

/// The state machine's name for one relay socket; the driver keeps its sockets by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(pub u32);

impl RelayId {
    /// What the numbers of shared sockets have and others have not: there is no room for as many allocations.
    const SHARED: u32 = 1 << 28;

    /// The name of a shared socket, by its place in [`crate::Multiplex::sockets`].
    pub fn shared(place: u32) -> Self {
        Self(Self::SHARED | place)
    }

    /// The place of a shared socket; `None` if it is one allocation's own.
    #[inline]
    pub fn place_if_shared(self) -> Option<u32> {
        (self.0 & Self::SHARED != 0).then_some(self.0 & !Self::SHARED)
    }
}

/// The name of a peer data connection (RFC 6062 §6.2.1). Clients are told it as CONNECTION-ID, and nobody can guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

/// The number of a session in logs: the worker in the first three of eighteen digits, as coturn writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:018}", self.0)
    }
}

/// What a client's packet leads to at once.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'r> {
    /// Nothing to send now.
    Nothing,
    /// Bytes that go back along the same path.
    Reply(&'r [u8]),
    /// A part of the packet goes to a peer.
    ToPeer {
        /// From this relay socket.
        relay: RelayId,
        /// To this peer.
        to: SocketAddr,
        /// This part of the packet.
        range: Range<usize>,
        /// Whether the datagram must not be fragmented (RFC 8656 §14, §15); otherwise it may be.
        dont_fragment: bool,
    },
    /// The driver finds this user's key, however long that takes, and hands the same packet to
    /// [`crate::Relay::on_client_with_key`]. Only with [`crate::Access::Asked`]; nothing of it is kept here meanwhile.
    NeedsKey {
        /// USERNAME as sent.
        username: Box<str>,
    },
}

/// What a peer's datagram leads to: the framed message lies in the same buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct ToClient {
    /// The way to the client.
    pub path: Path,
    /// The message within the buffer, padding included.
    pub range: Range<usize>,
}

/// An ICMP error about a datagram to a peer, from the peer or from a router on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpReport {
    /// Where the datagram was going.
    pub to: SocketAddr,
    /// The type, of ICMPv4 or ICMPv6 as the relay socket says.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The MTU of the next link, where the datagram was too big for it.
    pub mtu: u32,
}

/// What the driver is asked to do.
#[derive(Debug)]
pub enum Action {
    /// Send these bytes to a client.
    Send {
        /// The way to the client.
        path: Path,
        /// A whole message.
        bytes: Vec<u8>,
    },
    /// Bind a relay socket and answer with [`Reply`].
    Bind {
        /// Its name from now on.
        relay: RelayId,
        /// The address and port to bind.
        local: SocketAddr,
        /// Whether the next port is bound too and kept, for whoever binds it on any worker (EVEN-PORT with its R bit set).
        with_next: bool,
    },
    /// Close the socket that is kept on a port, and only then drop the claim.
    Release {
        /// The port that nobody has taken up.
        claim: PortClaim,
    },
    /// Close a relay socket.
    Unbind {
        /// Its name, free for reuse.
        relay: RelayId,
    },
    /// Listen for peers' connections and answer with [`Reply::Bound`] or [`Reply::BindFailed`] (RFC 6062 §5.1).
    Listen {
        /// The relay's name from now on.
        relay: RelayId,
        /// The address and port to listen on, which connections to peers will come from as well.
        local: SocketAddr,
    },
    /// Connect to a peer and answer with [`Reply`] (RFC 6062 §5.2).
    Connect {
        /// The connection's name from now on.
        connection: ConnectionId,
        /// The relay that it belongs to.
        relay: RelayId,
        /// The address and port that it comes from: the relay's.
        local: SocketAddr,
        /// Where it goes.
        peer: SocketAddr,
    },
    /// Send what is queued for a client, and then make its stream the other half of a peer's connection (RFC 6062 §5.4):
    /// the driver of `worker` asks [`crate::Relay::on_join`] and joins them. No byte behind the request is a message.
    Join {
        /// The client's stream.
        link: LinkId,
        /// The peer's connection.
        connection: ConnectionId,
        /// The worker that has it, as [`crate::Relay::new`] was told its number.
        worker: u16,
    },
    /// Close a peer's connection and, if it is joined, its client's stream.
    Disconnect {
        /// Its name, free for reuse.
        connection: ConnectionId,
    },
    /// Remember whether a client's stream belongs to an allocation, beyond what [`Event`]s tell: without one it may hold little
    /// memory, and not for long.
    Occupied {
        /// Its name.
        link: LinkId,
        /// Whether it does.
        occupied: bool,
    },
    /// Pass a message to the state machine of another worker: [`crate::Relay::on_message`]. Messages and parcels from one
    /// worker to another keep their order.
    Post {
        /// Which worker.
        worker: u16,
        /// The message.
        message: Message,
    },
    /// Send what is queued for these relay sockets, take them off this worker and pass them with the session to another:
    /// [`crate::Relay::on_parcel`].
    HandOver {
        /// Which worker.
        worker: u16,
        /// The sockets, in this order.
        relays: Vec<RelayId>,
        /// The session.
        parcel: Box<Parcel>,
    },
    /// Serve a packet of a client by [`crate::Relay::on_returned`], as if it had just come.
    Serve {
        /// The way that it came.
        path: Path,
        /// The packet.
        packet: Vec<u8>,
    },
    /// Close a stream.
    CloseLink {
        /// Its name.
        link: LinkId,
    },
    /// Hand a packet to the worker of the allocation that it is for, this one or another, which gives it to
    /// [`crate::Relay::on_passed`]. It may be lost.
    PassOn(Passed),
    /// Tell the operator.
    Event(Event),
}

/// A packet for an allocation, which came by the socket of another one or by none.
#[derive(Debug)]
pub struct Passed {
    /// The allocation.
    pub to: Member,
    /// Where the packet comes from.
    pub from: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// The driver's answer to an [`Action::Bind`], [`Action::Listen`] or [`Action::Connect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The socket is bound.
    Bound {
        /// Which one.
        relay: RelayId,
    },
    /// The socket is bound, but the driver has chosen where: the address asked for was only a name for it.
    BoundAt {
        /// Which one.
        relay: RelayId,
        /// Where.
        local: SocketAddr,
        /// The address that clients are told.
        relayed: SocketAddr,
    },
    /// The socket could not be bound.
    BindFailed {
        /// Which one.
        relay: RelayId,
        /// Why.
        cause: BindFailure,
    },
    /// The peer has accepted the connection.
    Connected {
        /// Which one.
        connection: ConnectionId,
    },
    /// There will be no connection to the peer.
    ConnectFailed {
        /// Which one.
        connection: ConnectionId,
    },
}

/// Why a relay socket could not be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindFailure {
    /// Another program has the port: another port may do.
    InUse,
    /// The address is not one of this machine's: no port will do.
    NotLocal,
    /// There is no relay of that family at all: the client is told so.
    NoSuchFamily,
    /// Descriptors, memory or rights are missing: no port will do.
    Other,
}

/// What an operator changes in a running relay.
#[derive(Clone, Debug)]
pub enum Admin {
    /// Uses another configuration from now on and drops permissions that its peer policy denies.
    Configure(Arc<Config>),
    /// Ends the allocations that were made with this USERNAME.
    EndUser {
        /// As sent.
        username: Box<str>,
    },
}

/// How a way to a client is secured, in OpenSSL's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The cipher suite.
    pub cipher: &'static str,
    /// The protocol and its version.
    pub protocol: &'static str,
}

/// What the operator may want to read in a log.
#[derive(Clone, Debug)]
pub enum Event {
    /// An allocation was made.
    Started {
        /// The session.
        session: SessionId,
        /// The way to its client.
        path: Path,
        /// Its user, without the timestamp of a time-limited name.
        user: Arc<str>,
        /// The relayed address as the client knows it.
        relayed: SocketAddr,
        /// The IPv6 one beside it, of a dual allocation.
        second: Option<SocketAddr>,
        /// Its lifetime.
        lifetime: Duration,
        /// How the way is secured; the driver fills it in, who alone knows.
        secured: Option<Secured>,
    },
    /// An allocation was refreshed.
    Refreshed {
        /// The session.
        session: SessionId,
        /// The way to its client.
        path: Path,
        /// Its user.
        user: Arc<str>,
        /// Its new lifetime.
        lifetime: Duration,
        /// How the way is secured; the driver fills it in.
        secured: Option<Secured>,
    },
    /// One of the two relayed addresses of an allocation ended; the other lives on.
    HalfEnded {
        /// The session.
        session: SessionId,
        /// The relayed address as the client knew it.
        relayed: SocketAddr,
        /// Why.
        reason: EndReason,
    },
    /// A client has moved to another 5-tuple (RFC 8016).
    Moved {
        /// The session.
        session: SessionId,
        /// Its user.
        user: Arc<str>,
        /// Where the client was.
        from: Path,
        /// Where it is.
        to: Path,
    },
    /// An allocation ended.
    Ended {
        /// The session.
        session: SessionId,
        /// The way to its client.
        path: Path,
        /// Its user.
        user: Arc<str>,
        /// Why.
        reason: EndReason,
        /// What it relayed.
        traffic: Traffic,
    },
    /// A client may talk to a peer from now on, or goes on to.
    Permitted {
        /// The session.
        session: SessionId,
        /// Its user.
        user: Arc<str>,
        /// The peer, as it was named: a permission is for all of its ports.
        peer: PeerAddr,
        /// For how long.
        lifetime: Duration,
    },
    /// What a client might talk to it may no longer: its permission has expired, or its session ends.
    Forgotten {
        /// The session.
        session: SessionId,
        /// Its user.
        user: Arc<str>,
        /// The peer.
        peer: PeerIp,
    },
    /// A request has succeeded that no other event tells of.
    Served {
        /// The session of the client; a data connection has none.
        session: Option<SessionId>,
        /// The way to the client.
        path: Path,
        /// Its user.
        user: Arc<str>,
        /// The method's name.
        method: &'static str,
    },
    /// A Binding request was answered.
    Bound {
        /// The way to the client.
        path: Path,
    },
    /// A request was refused.
    Refused {
        /// The session of the client, if it has one.
        session: Option<SessionId>,
        /// The way to the client.
        path: Path,
        /// The method's name.
        method: &'static str,
        /// The error code.
        code: u16,
        /// What the request says its user is, if it says so.
        username: Option<Box<str>>,
    },
    /// A relay socket could not be bound.
    BindFailed {
        /// Where.
        local: SocketAddr,
        /// Why.
        cause: BindFailure,
    },
}

/// Why an allocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client asked for it by a Refresh with lifetime zero.
    Deleted,
    /// Its lifetime ended.
    Expired,
    /// Its stream was closed.
    LinkClosed,
    /// Its relay socket was closed by others.
    RelayClosed,
    /// An operator, or the program around the server, asked for it.
    Commanded,
    /// Its lifetime was cut short by the credential's, which ended.
    CredentialExpired,
    /// The operator keeps its client out from now on.
    Denied,
}

impl EndReason {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Deleted,
        Self::Expired,
        Self::LinkClosed,
        Self::RelayClosed,
        Self::Commanded,
        Self::CredentialExpired,
        Self::Denied,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::LinkClosed => "link_closed",
            Self::RelayClosed => "relay_closed",
            Self::Commanded => "commanded",
            Self::CredentialExpired => "credential_expired",
            Self::Denied => "client_denied",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "deleted by the client",
            Self::Expired => "allocation timeout",
            Self::LinkClosed => "TCP connection closed by client",
            Self::RelayClosed => "relay socket closed",
            Self::Commanded => "ended by the operator",
            Self::CredentialExpired => "credential expired",
            Self::Denied => "client denied",
        })
    }
}

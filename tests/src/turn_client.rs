//! A small blocking TURN client over UDP, for requests that no well-behaved client sends.
//!
//! It is made of the webrtc-rs codec and nothing of ours, so that the server's own reading of the bytes is not its judge.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME, AttrType, RawAttribute};
use stun::error_code::ErrorCodeAttribute;
use stun::integrity::MessageIntegrity;
use stun::message::{
    BINDING_REQUEST, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE,
    METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH, Message, MessageType, Method,
    Setter,
};
use stun::textattrs::TextAttribute;
use turn::proto::channum::ChannelNumber;
use turn::proto::lifetime::Lifetime;
use turn::proto::peeraddr::PeerAddress;
use turn::proto::relayaddr::RelayedAddress;
use turn::proto::reqtrans::RequestedTransport;

/// An answer that is late by this much counts as none: everything here runs on one machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A success response; the lifetime is in seconds.
    Success {
        /// XOR-RELAYED-ADDRESS, of an Allocate only.
        relayed: Option<SocketAddr>,
        /// LIFETIME as granted.
        lifetime: Option<u64>,
    },
    /// An error response with this code.
    Refused(u16),
    /// Nothing came back.
    Silence,
}

/// One client socket with long-term credentials.
#[derive(Debug)]
pub struct TurnClient {
    socket: UdpSocket,
    username: String,
    password: String,
    realm: String,
    nonce: String,
}

impl TurnClient {
    /// Opens a socket towards `server`; call it inside a namespace to be a client there.
    ///
    /// # Errors
    /// When no socket can be had.
    pub fn new(server: SocketAddr, username: &str, password: &str) -> Result<Self> {
        let any: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            username: username.to_owned(),
            password: password.to_owned(),
            realm: String::new(),
            nonce: String::new(),
        })
    }

    /// Sends raw bytes and returns whatever comes back.
    ///
    /// # Errors
    /// When the socket fails otherwise than by silence.
    pub fn raw(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        self.socket.send(bytes)?;
        let mut buffer = [0_u8; 2048];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Ok(Some(buffer[..length].to_vec())),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).context("the server's port is closed"),
        }
    }

    /// Sends raw bytes and waits for nothing.
    ///
    /// # Errors
    /// When the socket refuses.
    pub fn throw(&self, bytes: &[u8]) -> Result<()> {
        self.socket
            .send(bytes)
            .map(drop)
            .context("the server's port is closed")
    }

    /// Sends a Binding request and tells whether it was answered.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn is_alive(&self) -> Result<bool> {
        let mut request = Message::new();
        request.build(&[
            Box::new(BINDING_REQUEST),
            Box::new(stun::agent::TransactionId::new()),
        ])?;
        loop {
            let Some(bytes) = self.raw(&request.raw)? else {
                return Ok(false);
            };
            if decode(&bytes)?.transaction_id == request.transaction_id {
                return Ok(true);
            }
        }
    }

    /// Asks for a UDP relay, for `lifetime` seconds or the server's default, answering the server's challenge.
    ///
    /// # Errors
    /// When the socket fails or the answer is not STUN.
    pub fn allocate(&mut self, lifetime: Option<u32>) -> Result<Answer> {
        let transport = RequestedTransport {
            protocol: turn::proto::PROTO_UDP,
        };
        match lifetime {
            Some(seconds) => self.authenticated(
                METHOD_ALLOCATE,
                &[&transport, &Lifetime(Duration::from_secs(seconds.into()))],
            ),
            None => self.authenticated(METHOD_ALLOCATE, &[&transport]),
        }
    }

    /// Asks for a relay of the other family than is given by default.
    ///
    /// # Errors
    /// When the socket fails or the answer is not STUN.
    pub fn allocate_v6(&mut self) -> Result<Answer> {
        let transport = RequestedTransport {
            protocol: turn::proto::PROTO_UDP,
        };
        // REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.8): 2 is IPv6.
        let family = RawAttribute {
            typ: AttrType(0x0017),
            length: 4,
            value: vec![2, 0, 0, 0],
        };
        self.authenticated(METHOD_ALLOCATE, &[&transport, &Raw(family)])
    }

    /// Asks for a permission.
    ///
    /// # Errors
    /// When the socket fails or the answer is not STUN.
    pub fn permit(&mut self, peer: SocketAddr) -> Result<Answer> {
        self.authenticated(METHOD_CREATE_PERMISSION, &[&address(peer)])
    }

    /// Asks for a channel.
    ///
    /// # Errors
    /// When the socket fails or the answer is not STUN.
    pub fn bind(&mut self, number: u16, peer: SocketAddr) -> Result<Answer> {
        self.authenticated(
            METHOD_CHANNEL_BIND,
            &[&ChannelNumber(number), &address(peer)],
        )
    }

    /// Asks for a relay with the nonce that is known by then, and returns what a refusal says besides the nonce: each
    /// attribute with its value.
    ///
    /// # Errors
    /// When the socket fails, or when it is not refused.
    pub fn refusal(&mut self) -> Result<Vec<(u16, Vec<u8>)>> {
        let answer = self.allocate(None)?;
        if !matches!(answer, Answer::Refused(_)) {
            bail!("not refused: {answer:?}");
        }
        let transport = RequestedTransport {
            protocol: turn::proto::PROTO_UDP,
        };
        let answer = self.exchange(&self.request(METHOD_ALLOCATE, &[&transport])?)?;
        let attributes = answer.context("no answer")?.attributes.0;
        let values = attributes.into_iter().map(|held| (held.typ.0, held.value));
        Ok(values.filter(|(kind, _)| *kind != ATTR_NONCE.0).collect())
    }

    /// Refreshes the allocation; zero seconds end it.
    ///
    /// # Errors
    /// When the socket fails or the answer is not STUN.
    pub fn refresh(&mut self, lifetime: u32) -> Result<Answer> {
        self.authenticated(
            METHOD_REFRESH,
            &[&Lifetime(Duration::from_secs(lifetime.into()))],
        )
    }

    /// Sends with the nonce at hand, and once more when the server hands out another (401, 438).
    fn authenticated(&mut self, method: Method, attributes: &[&dyn Setter]) -> Result<Answer> {
        for _ in 0..2 {
            let Some(answer) = self.exchange(&self.request(method, attributes)?)? else {
                return Ok(Answer::Silence);
            };
            if answer.typ.class == CLASS_SUCCESS_RESPONSE {
                return Ok(success(&answer));
            }
            let mut code = ErrorCodeAttribute::default();
            code.get_from(&answer)
                .context("an error response without a code")?;
            if !matches!(code.code.0, 401 | 438) || self.nonce == text(&answer, ATTR_NONCE) {
                return Ok(Answer::Refused(code.code.0));
            }
            self.realm = text(&answer, ATTR_REALM);
            self.nonce = text(&answer, ATTR_NONCE);
        }
        Ok(Answer::Refused(401))
    }

    fn request(&self, method: Method, attributes: &[&dyn Setter]) -> Result<Message> {
        let mut message = Message::new();
        message.build(&[
            Box::new(MessageType::new(method, CLASS_REQUEST)),
            Box::new(stun::agent::TransactionId::new()),
        ])?;
        for attribute in attributes {
            attribute.add_to(&mut message)?;
        }
        if !self.nonce.is_empty() {
            for (kind, value) in [
                (ATTR_USERNAME, &self.username),
                (ATTR_REALM, &self.realm),
                (ATTR_NONCE, &self.nonce),
            ] {
                TextAttribute::new(kind, value.clone()).add_to(&mut message)?;
            }
            MessageIntegrity::new_long_term_integrity(
                self.username.clone(),
                self.realm.clone(),
                self.password.clone(),
            )
            .add_to(&mut message)?;
        }
        message.write_header();
        Ok(message)
    }

    fn exchange(&self, request: &Message) -> Result<Option<Message>> {
        let Some(bytes) = self.raw(&request.raw)? else {
            return Ok(None);
        };
        let answer = decode(&bytes)?;
        if answer.transaction_id != request.transaction_id {
            bail!("an answer to another request: {answer}");
        }
        Ok(Some(answer))
    }
}

/// An attribute that the codec has no type for.
struct Raw(RawAttribute);

impl Setter for Raw {
    fn add_to(&self, message: &mut Message) -> Result<(), stun::Error> {
        message.add(self.0.typ, &self.0.value);
        Ok(())
    }
}

fn address(peer: SocketAddr) -> PeerAddress {
    PeerAddress {
        ip: peer.ip(),
        port: peer.port(),
    }
}

fn decode(bytes: &[u8]) -> Result<Message> {
    let mut message = Message::new();
    message
        .unmarshal_binary(bytes)
        .with_context(|| format!("not STUN: {bytes:02x?}"))?;
    Ok(message)
}

fn success(answer: &Message) -> Answer {
    let mut relayed = RelayedAddress::default();
    let mut lifetime = Lifetime::default();
    Answer::Success {
        relayed: relayed
            .get_from(answer)
            .is_ok()
            .then(|| SocketAddr::new(relayed.ip, relayed.port)),
        lifetime: lifetime
            .get_from(answer)
            .is_ok()
            .then_some(lifetime.0.as_secs()),
    }
}

fn text(message: &Message, kind: stun::attributes::AttrType) -> String {
    TextAttribute::get_from_as(message, kind)
        .map(|attribute| attribute.text)
        .unwrap_or_default()
}

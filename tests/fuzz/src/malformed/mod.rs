//! Forty classes of malformed input, each with as many members as are asked for, and what a server may answer to them.
//!
//! In here: the members and their permitted outcomes. Not in here: the servers that they are sent to: the state machine in
//! virtual time is tried next door in `tests/malformed.rs`, the program over its real transports in the end-to-end tests.

mod attributes;
mod credentials;
mod envelope;
mod requests;

use rand::{Rng, SeedableRng, rngs::StdRng};
use turn_wire::{IntegrityKey, Method, RequestBuilder, TransactionId, attr};

/// What may come of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer; a stream may be closed.
    Silence,
    /// A success response.
    Success,
    /// An error response with this code.
    Code(u16),
}

/// What the sender of a member is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Nobody.
    Stranger,
    /// Knows a password and has a nonce.
    User,
    /// Has an allocation as well.
    Holder,
}

/// What a member is carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// One datagram.
    Datagram,
    /// A stream that ends behind it.
    Stream,
}

/// Input of one class.
#[derive(Clone, Debug)]
pub struct Member {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the server may do.
    pub allowed: Vec<Outcome>,
}

/// What a sender knows.
pub struct Speaker {
    /// USERNAME.
    pub username: String,
    /// REALM of the server.
    pub realm: String,
    /// A nonce that the server has just issued to this sender.
    pub nonce: Vec<u8>,
    /// The user's key.
    pub key: IntegrityKey,
}

/// One class of malformed input.
pub struct Class {
    /// Its number, from 1.
    pub number: usize,
    /// What is wrong.
    pub name: &'static str,
    /// Who sends it.
    pub sender: Sender,
    make: fn(&mut Maker<'_>) -> Member,
}

impl Class {
    /// Makes the member of this seed.
    pub fn member(&self, seed: u64, carrier: Carrier, speaker: &Speaker) -> Member {
        let rng = StdRng::seed_from_u64(seed ^ (self.number as u64) << 32);
        (self.make)(&mut Maker {
            rng,
            carrier,
            speaker,
            number: seed,
        })
    }
}

/// All classes, in the order of their numbers.
pub fn classes() -> Vec<Class> {
    let parts = [
        envelope::CLASSES,
        attributes::CLASSES,
        credentials::CLASSES,
        requests::CLASSES,
    ];
    let listed = parts.into_iter().flatten();
    let numbered = (1..).zip(listed);
    numbered
        .map(|(number, &(name, sender, make))| Class {
            number,
            name,
            sender,
            make,
        })
        .collect()
}

type Entry = (&'static str, Sender, fn(&mut Maker<'_>) -> Member);

/// What members are made with.
struct Maker<'a> {
    rng: StdRng,
    carrier: Carrier,
    speaker: &'a Speaker,
    number: u64,
}

impl Maker<'_> {
    fn id(&mut self) -> TransactionId {
        self.rng.random()
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Bytes that are never zero, so that they can be told from padding.
    fn noise(&mut self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|_| self.rng.random_range(1..=255))
            .collect()
    }

    fn request(&mut self, method: Method) -> RequestBuilder {
        RequestBuilder::new(method, self.id())
    }

    fn binding(&mut self) -> Vec<u8> {
        self.request(Method::BINDING).finish(None, false)
    }

    /// Adds who the speaker is, and signs.
    fn sign(&self, request: RequestBuilder) -> Vec<u8> {
        self.named(request).finish(Some(&self.speaker.key), false)
    }

    fn named(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .username(&self.speaker.username)
            .realm(&self.speaker.realm)
            .nonce(&self.speaker.nonce)
    }

    /// A signed Allocate with these attributes beside REQUESTED-TRANSPORT.
    fn allocate(&mut self, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let udp: (u16, &[u8]) = (attr::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        let request = self.request(Method::ALLOCATE).attribute(udp.0, udp.1);
        self.sign(with(request, attributes))
    }

    /// A signed request of the speaker's with these attributes.
    fn ask(&mut self, method: Method, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let request = self.request(method);
        self.sign(with(request, attributes))
    }
}

fn with(mut request: RequestBuilder, attributes: &[(u16, &[u8])]) -> RequestBuilder {
    for (kind, value) in attributes {
        request = request.attribute(*kind, value);
    }
    request
}

fn silent(bytes: Vec<u8>) -> Member {
    member(bytes, &[Outcome::Silence])
}

fn refused(bytes: Vec<u8>, codes: &[u16]) -> Member {
    let allowed: Vec<Outcome> = codes.iter().map(|&code| Outcome::Code(code)).collect();
    member(bytes, &allowed)
}

fn member(bytes: Vec<u8>, allowed: &[Outcome]) -> Member {
    Member {
        bytes,
        allowed: allowed.to_vec(),
    }
}

/// Puts a number where the header has the length of the body.
fn claim_length(message: &mut [u8], length: usize) {
    message[2..4].copy_from_slice(&(length as u16).to_be_bytes());
}

/// Appends an attribute to a finished message, as an attacker on the way does.
fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let length = message.len() - 20;
    claim_length(message, length);
}

/// XOR-PEER-ADDRESS of an IPv4 peer.
fn peer_v4(ip: [u8; 4], port: u16) -> Vec<u8> {
    let cookie = 0x2112_A442_u32.to_be_bytes();
    let mut value = vec![0, 1];
    value.extend((port ^ 0x2112).to_be_bytes());
    value.extend(ip.iter().zip(cookie).map(|(byte, mask)| byte ^ mask));
    value
}

/// Asserts that all padding of a message is zero: it is nobody's memory (RFC 8489 §14).
///
/// # Panics
/// When it is not, or when the bytes are no message.
pub fn padding_is_zero(message: &[u8]) {
    let mut rest = &message[20..];
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let end = 4 + length.next_multiple_of(4);
        assert!(
            rest[4 + length..end].iter().all(|&byte| byte == 0),
            "padding leaks: {message:02x?}"
        );
        rest = &rest[end..];
    }
}

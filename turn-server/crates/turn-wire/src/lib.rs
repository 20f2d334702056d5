//! STUN and TURN messages: bytes to views and types, and back.
//!
//! In: demultiplexing, the borrowed [`MessageView`], the owned [`Request`], integrity and fingerprint, answers, the headers
//! of relayed data, framing on streams. Not in: what a message means. This crate reports structure; whoever calls it
//! picks the answer.
//!
//! Control messages go through `stun::message` and `turn::proto`; relayed data is read and written in place. Everything
//! that is parsed here comes from the network: nothing panics, nothing is taken that lies outside the bytes given.
//!
//! ```text
//!   datagram ── parse ──┬─ ChannelData ── payload range, no copy
//!                       └─ MessageView ─┬─ verify, attribute, unknown_required   (borrowed: any source)
//!                                       ├─ parse_send ── peer + payload range    (borrowed: relayed data)
//!                                       └─ Request::decode                       (owned: proven clients)
//! ```
#![forbid(unsafe_code)]

pub mod attr;
mod channel_data;
mod classic;
mod draft;
mod indication;
mod integrity;
mod method;
mod parse;
mod request;
mod request_builder;
mod responder;
pub mod stream;
mod view;

pub use attr::discovery::ChangeRequest;
pub use attr::family::Family;
pub use attr::password_algorithm::PasswordAlgorithm;
pub use channel_data::{ChannelData, write_channel_data};
pub use classic::{ClassicBinding, ClassicPlaces, parse_classic_binding};
pub use indication::{
    SendIndication, parse_data, parse_send, write_data_indication, write_send_indication,
};
pub use integrity::{Integrity, IntegrityKey};
pub use method::{Class, Method};
pub use parse::{Packet, ParseError, parse};
pub use request::{Malformed, Request};
pub use request_builder::RequestBuilder;
pub use responder::{Answer, Responder};
pub use view::{Attribute, Fingerprint, MessageView};

/// Names one transaction: 96 bits that the answer repeats (RFC 8489 §5).
pub type TransactionId = [u8; 12];

/// Bytes to leave free before a payload, so that either header fits in front of it without a copy.
///
/// A Data indication to an IPv6 peer is the longest: 20 header, 24 XOR-PEER-ADDRESS, 4 DATA header.
pub const HEADROOM: usize = 48;

/// Bytes to leave free behind a payload: the padding of DATA, or of ChannelData on streams, is at most 3.
pub const TAILROOM: usize = 4;

/// Length of the STUN header (RFC 8489 §5).
pub(crate) const HEADER_LEN: usize = 20;

/// Length of an attribute's type and length fields (RFC 8489 §14).
pub(crate) const ATTRIBUTE_HEADER_LEN: usize = 4;

/// The fixed second word of every STUN message (RFC 8489 §5).
pub(crate) const MAGIC_COOKIE: u32 = stun::message::MAGIC_COOKIE;

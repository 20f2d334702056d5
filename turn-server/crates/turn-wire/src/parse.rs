//! The first look at a datagram or frame: STUN, ChannelData or neither (RFC 8656 §12, RFC 7983).
//!
//! Not in: finding the end of a frame on a stream (`stream`), and what a message means.

use crate::channel_data::ChannelData;
use crate::view::MessageView;

/// One packet of a client, told apart by its first two bits.
#[derive(Debug, Clone)]
pub enum Packet<'a> {
    /// `0b00`: a STUN message.
    Stun(MessageView<'a>),
    /// `0b01`: relayed data on a channel.
    ChannelData(ChannelData),
}

/// Says why bytes are not a packet of this protocol. The sender erred in every case; over UDP the answer is silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The header does not fit.
    #[error("shorter than its header")]
    TooShort,
    /// The first two bits belong to another protocol.
    #[error("neither STUN nor ChannelData")]
    Foreign,
    /// The second word of a STUN message is not the magic cookie.
    #[error("not the magic cookie")]
    Cookie,
    /// The length field is not what the bytes hold, or not a multiple of 4 in a STUN message.
    #[error("length field does not match the packet")]
    Length,
    /// An attribute is longer than the message.
    #[error("attribute exceeds the message")]
    Overrun,
    /// Something follows FINGERPRINT (RFC 8489 §14.7).
    #[error("FINGERPRINT is not last")]
    FingerprintNotLast,
    /// It is a sound message, but not the indication that was to be read.
    #[error("another kind of message")]
    OtherMessage,
    /// An attribute must be understood and is not (RFC 8489 §6.3.2); indications with one are dropped.
    #[error("attribute {0:#06x} is not understood")]
    Unknown(u16),
    /// A mandatory attribute is absent.
    #[error("attribute {0:#06x} is missing")]
    Missing(u16),
    /// The value of an attribute has the wrong form.
    #[error("attribute {0:#06x} is malformed")]
    Attribute(u16),
}

/// Tells STUN from ChannelData and checks the structure of either to the last byte.
///
/// `datagram` is one UDP payload, or one whole frame of a stream.
#[inline]
pub fn parse(datagram: &[u8]) -> Result<Packet<'_>, ParseError> {
    match datagram.first().map(|byte| byte >> 6) {
        Some(0b00) => MessageView::parse(datagram).map(Packet::Stun),
        Some(0b01) => ChannelData::parse(datagram).map(Packet::ChannelData),
        Some(_) => Err(ParseError::Foreign),
        None => Err(ParseError::TooShort),
    }
}

//! Requests of proven clients, decoded by the codec crates and read through their types.
//!
//! The codec sees only what must be obeyed: the closing attributes and whatever follows them are cut off before. Not in:
//! who sent it, and whether what it asks for may be had.

use std::net::SocketAddr;

use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DONT_FRAGMENT, ATTR_EVEN_PORT, ATTR_LIFETIME,
    ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN,
    ATTR_XOR_PEER_ADDRESS, AttrType,
};
use stun::message::{Getter, Message};
use turn::proto::channum::ChannelNumber;
use turn::proto::lifetime::Lifetime;
use turn::proto::reqtrans::RequestedTransport;
use turn::proto::rsrvtoken::ReservationToken;

use crate::TransactionId;
use crate::attr::even_port::EvenPort;
use crate::attr::{self, family::Family, xor_address};
use crate::method::Method;
use crate::view::MessageView;

/// Says what of a request cannot be read. The client erred; the answer is 400 (RFC 8489 §6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The codec refuses the message as a whole.
    #[error("message cannot be decoded")]
    Message,
    /// The value of the attribute with this number has the wrong form.
    #[error("attribute {0:#06x} is malformed")]
    Attribute(u16),
}

/// A request as owned values, without its closing attributes. Of several attributes of a kind the first counts.
pub struct Request {
    method: Method,
    message: Message,
}

impl Request {
    /// Decodes what must be obeyed of a message. Fails if codec and view disagree about what that is.
    pub fn decode(view: &MessageView<'_>) -> Result<Self, Malformed> {
        let mut message = Message {
            raw: view.plain_message(),
            ..Message::default()
        };
        message.decode().map_err(|_| Malformed::Message)?;
        if message.attributes.0.len() != view.plain_attributes().count() {
            return Err(Malformed::Message);
        }
        Ok(Self {
            method: view.method(),
            message,
        })
    }

    /// Returns the method of the message type.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns the transaction id.
    pub fn transaction_id(&self) -> TransactionId {
        self.message.transaction_id.0
    }

    /// Returns the protocol number of REQUESTED-TRANSPORT, 17 for UDP (RFC 8656 §18.8).
    pub fn requested_transport(&self) -> Result<Option<u8>, Malformed> {
        let found = self.typed::<RequestedTransport>(ATTR_REQUESTED_TRANSPORT)?;
        Ok(found.map(|transport| transport.protocol.0))
    }

    /// Returns REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
    pub fn requested_family(&self) -> Result<Option<Family>, Malformed> {
        self.read(ATTR_REQUESTED_ADDRESS_FAMILY, Family::from_value)
    }

    /// Returns ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.11), by its number or by the one that its draft had. Under that it may
    /// be ignored, so a value that means nothing is.
    pub fn additional_family(&self) -> Result<Option<Family>, Malformed> {
        let by = |kind| self.read(AttrType(kind), Family::from_value);
        let draft = || by(attr::DRAFT_ADDITIONAL_ADDRESS_FAMILY).ok().flatten();
        let known = |family: &Family| !matches!(family, Family::Other(_));
        let found = by(attr::ADDITIONAL_ADDRESS_FAMILY)?;
        Ok(found.or_else(|| draft().filter(known)))
    }

    /// Returns EVEN-PORT; `Some(true)` asks to reserve the next port too (RFC 8656 §18.7).
    pub fn even_port(&self) -> Result<Option<bool>, Malformed> {
        let found = self.read(ATTR_EVEN_PORT, EvenPort::from_value)?;
        Ok(found.map(|even| even.reserve_next))
    }

    /// Returns RESERVATION-TOKEN (RFC 8656 §18.10).
    pub fn reservation_token(&self) -> Result<Option<[u8; 8]>, Malformed> {
        let Some(ReservationToken(bytes)) = self.typed(ATTR_RESERVATION_TOKEN)? else {
            return Ok(None);
        };
        let token = bytes
            .try_into()
            .map_err(|_| Malformed::Attribute(attr::RESERVATION_TOKEN))?;
        Ok(Some(token))
    }

    /// Tells whether DONT-FRAGMENT is there (RFC 8656 §18.9).
    pub fn dont_fragment(&self) -> bool {
        self.message.contains(ATTR_DONT_FRAGMENT)
    }

    /// Returns LIFETIME in seconds (RFC 8656 §18.2).
    pub fn lifetime(&self) -> Result<Option<u32>, Malformed> {
        let Some(Lifetime(span)) = self.typed(ATTR_LIFETIME)? else {
            return Ok(None);
        };
        let seconds =
            u32::try_from(span.as_secs()).map_err(|_| Malformed::Attribute(attr::LIFETIME))?;
        Ok(Some(seconds))
    }

    /// Returns CHANNEL-NUMBER, whatever its range (RFC 8656 §18.1).
    pub fn channel_number(&self) -> Result<Option<u16>, Malformed> {
        let found = self.typed::<ChannelNumber>(ATTR_CHANNEL_NUMBER)?;
        Ok(found.map(|channel| channel.0))
    }

    /// Returns CONNECTION-ID (RFC 6062 §6.2.1).
    pub fn connection_id(&self) -> Result<Option<u32>, Malformed> {
        self.read(AttrType(attr::CONNECTION_ID), |value| {
            Some(u32::from_be_bytes(value.try_into().ok()?))
        })
    }

    /// Returns MOBILITY-TICKET, which is empty in a request for one (RFC 8016 §3.3).
    pub fn mobility_ticket(&self) -> Option<&[u8]> {
        let mut all = self.message.attributes.0.iter();
        let raw = all.find(|raw| raw.typ == AttrType(attr::MOBILITY_TICKET))?;
        Some(&raw.value)
    }

    /// Returns the first XOR-PEER-ADDRESS (RFC 8656 §18.3).
    pub fn peer(&self) -> Result<Option<SocketAddr>, Malformed> {
        self.peer_values().next().transpose()
    }

    /// Returns every XOR-PEER-ADDRESS in order; one that is malformed spoils all (RFC 8656 §10.2).
    pub fn peers(&self) -> Result<Vec<SocketAddr>, Malformed> {
        self.peer_values().collect()
    }

    fn peer_values(&self) -> impl Iterator<Item = Result<SocketAddr, Malformed>> + '_ {
        let id = self.transaction_id();
        let raw = self
            .message
            .attributes
            .0
            .iter()
            .filter(|raw| raw.typ == ATTR_XOR_PEER_ADDRESS);
        raw.map(move |raw| {
            xor_address::decode(&raw.value, &id).ok_or(Malformed::Attribute(attr::XOR_PEER_ADDRESS))
        })
    }

    /// Reads an attribute by the codec's type for it.
    fn typed<G: Getter + Default>(&self, kind: AttrType) -> Result<Option<G>, Malformed> {
        if !self.message.contains(kind) {
            return Ok(None);
        }
        let mut value = G::default();
        value
            .get_from(&self.message)
            .map_err(|_| Malformed::Attribute(kind.value()))?;
        Ok(Some(value))
    }

    /// Reads an attribute that the codec has no suitable type for.
    fn read<T>(
        &self,
        kind: AttrType,
        from_value: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Malformed> {
        let Some(raw) = self.message.attributes.0.iter().find(|raw| raw.typ == kind) else {
            return Ok(None);
        };
        from_value(&raw.value)
            .map(Some)
            .ok_or(Malformed::Attribute(kind.value()))
    }
}

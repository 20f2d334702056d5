//! What a server has said, reduced to what does not depend on chance: class, code, the set of attributes, some values.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use stun::attributes::{
    ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM, AttrType,
    RawAttribute,
};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{CLASS_ERROR_RESPONSE, CLASS_SUCCESS_RESPONSE, MAGIC_COOKIE, Message};
use stun::xoraddr::XorMappedAddress;

/// The attributes that servers send, by the names that RFCs give them.
const NAMES: &[(u16, &str)] = &[
    (0x0001, "MAPPED-ADDRESS"),
    (0x0004, "SOURCE-ADDRESS"),
    (0x0005, "CHANGED-ADDRESS"),
    (0x0006, "USERNAME"),
    (0x0008, "MESSAGE-INTEGRITY"),
    (0x0009, "ERROR-CODE"),
    (0x000a, "UNKNOWN-ATTRIBUTES"),
    (0x000d, "LIFETIME"),
    (0x0012, "XOR-PEER-ADDRESS"),
    (0x0013, "DATA"),
    (0x0014, "REALM"),
    (0x0015, "NONCE"),
    (0x0016, "XOR-RELAYED-ADDRESS"),
    (0x0017, "REQUESTED-ADDRESS-FAMILY"),
    (0x001c, "MESSAGE-INTEGRITY-SHA256"),
    (0x001d, "PASSWORD-ALGORITHM"),
    (0x0020, "XOR-MAPPED-ADDRESS"),
    (0x0022, "RESERVATION-TOKEN"),
    (0x002a, "CONNECTION-ID"),
    (0x8001, "ADDRESS-ERROR-CODE"),
    (0x8033, "ADDRESS-ERROR-CODE of the draft"),
    (0x8002, "PASSWORD-ALGORITHMS"),
    (0x8004, "ICMP"),
    (0x8022, "SOFTWARE"),
    (0x8023, "ALTERNATE-SERVER"),
    (0x8028, "FINGERPRINT"),
    (0x802b, "RESPONSE-ORIGIN"),
    (0x802c, "OTHER-ADDRESS"),
    (0x8030, "MOBILITY-TICKET"),
];

/// What is known on this side, so that an address need not be told but only whether it is right.
#[derive(Debug)]
pub struct Facts {
    client: SocketAddr,
    /// The relayed address of the last allocation.
    pub relayed: Option<SocketAddr>,
    /// The reservation of the last allocation.
    pub token: Option<Vec<u8>>,
    /// The mobility ticket that came last.
    pub ticket: Option<Vec<u8>>,
}

impl Facts {
    /// Knows the client's address only.
    pub fn new(client: SocketAddr) -> Self {
        Self {
            client,
            relayed: None,
            token: None,
            ticket: None,
        }
    }
}

/// An answer that has been read.
#[derive(Debug)]
pub struct Read {
    /// The reduced answer.
    pub account: String,
    /// REALM, if it was there.
    pub realm: Option<String>,
    /// NONCE, if it was there.
    pub nonce: Option<String>,
}

/// Tells the transaction ID of a STUN message.
pub fn transaction(bytes: &[u8]) -> Option<[u8; 12]> {
    (*bytes.first()? < 0x40).then_some(())?;
    bytes.get(8..20)?.try_into().ok()
}

/// Tells whether a message is a success or error response.
pub fn is_answer(bytes: &[u8]) -> bool {
    matches!(bytes, [high, ..] if high & 0xc1 == 0x01)
}

/// Reads an answer; one of `keys` must have signed it if it is signed.
///
/// # Errors
/// When it is no sound STUN message.
pub fn read(bytes: &[u8], keys: &[MessageIntegrity], facts: &mut Facts) -> Result<Read> {
    let (bytes, classic) = with_cookie(bytes);
    let mut message = decode(&bytes)?;
    let signature = keys.iter().any(|key| key.check(&mut message).is_ok());
    let mut seen: Vec<String> = Vec::new();
    for attribute in message.attributes.0.clone() {
        match attribute.typ {
            ATTR_ERROR_CODE => {}
            ATTR_MESSAGE_INTEGRITY if !signature => {
                seen.push("MESSAGE-INTEGRITY of another key".to_owned())
            }
            ATTR_FINGERPRINT if FINGERPRINT.check(&message).is_err() => {
                seen.push("FINGERPRINT that is wrong".to_owned())
            }
            _ => seen.push(with_value(&attribute, &message, facts)),
        }
    }
    seen.sort();
    let head = match message.typ.class {
        CLASS_SUCCESS_RESPONSE if classic => "success of RFC 3489".to_owned(),
        CLASS_SUCCESS_RESPONSE => "success".to_owned(),
        CLASS_ERROR_RESPONSE => code(&message),
        _ => format!("{}", message.typ),
    };
    let text = |kind| {
        message
            .get(kind)
            .ok()
            .map(|value| String::from_utf8_lossy(&value).into_owned())
    };
    Ok(Read {
        account: [vec![head], seen].concat().join(" "),
        realm: text(ATTR_REALM),
        nonce: text(ATTR_NONCE),
    })
}

/// Reduces a message that answers nothing: a Data indication, ChannelData, or what should not have come.
pub fn unasked(bytes: &[u8], facts: &mut Facts) -> String {
    if bytes.first().is_some_and(|first| *first >= 0x40) {
        let number = bytes
            .get(..2)
            .map_or(0, |number| u16::from_be_bytes([number[0], number[1]]));
        let payload = String::from_utf8_lossy(bytes.get(4..).unwrap_or_default()).into_owned();
        return format!("ChannelData {number:#06x} \"{payload}\"");
    }
    let Ok(message) = decode(bytes) else {
        return "no STUN message".to_owned();
    };
    let mut seen: Vec<String> = message
        .attributes
        .0
        .iter()
        .map(|attribute| with_value(attribute, &message, facts))
        .collect();
    seen.sort();
    format!("{} {}", message.typ, seen.join(" "))
}

/// Puts the magic cookie where classic STUN has the first part of its transaction ID; tells whether it had to.
fn with_cookie(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = bytes.to_vec();
    let Some(cookie) = bytes.get_mut(4..8) else {
        return (bytes, false);
    };
    let classic = cookie != MAGIC_COOKIE.to_be_bytes();
    cookie.copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    (bytes, classic)
}

fn decode(bytes: &[u8]) -> Result<Message> {
    let mut message = Message::new();
    message
        .unmarshal_binary(bytes)
        .with_context(|| format!("not STUN: {bytes:02x?}"))?;
    Ok(message)
}

fn code(message: &Message) -> String {
    match message.get(ATTR_ERROR_CODE).as_deref() {
        Ok([_, _, class, number, ..]) => {
            (u16::from(*class & 7) * 100 + u16::from(*number)).to_string()
        }
        _ => "error without a code".to_owned(),
    }
}

fn with_value(attribute: &RawAttribute, message: &Message, facts: &mut Facts) -> String {
    let AttrType(kind) = attribute.typ;
    let name = NAMES
        .iter()
        .find(|(number, _)| *number == kind)
        .map_or_else(|| format!("{kind:#06x}"), |(_, name)| (*name).to_owned());
    let value = attribute.value.as_slice();
    match kind {
        0x000d => format!("{name}={}", number(value)),
        0x000a => {
            let listed: Vec<String> = value
                .chunks_exact(2)
                .map(|pair| format!("{:#06x}", u16::from_be_bytes([pair[0], pair[1]])))
                .collect();
            format!("{name}={}", listed.join("+"))
        }
        0x0013 => format!("{name}=\"{}\"", String::from_utf8_lossy(value)),
        0x0016 => {
            // The codec reads the first of them only; of a second, the family will do.
            facts.relayed = address(message, attribute.typ);
            match value {
                [_, 1, ..] if value.len() == 8 => format!("{name}=IPv4"),
                [_, 2, ..] if value.len() == 20 => format!("{name}=IPv6"),
                _ => format!("{name}=unreadable"),
            }
        }
        0x0020 if address(message, attribute.typ) != Some(facts.client) => {
            format!("{name}=not the client's")
        }
        0x0022 => {
            facts.token = Some(value.to_vec());
            name
        }
        0x8030 => {
            facts.ticket = Some(value.to_vec());
            name
        }
        0x8001 => format!("{name}={value:02x?}"),
        _ => name,
    }
}

fn number(value: &[u8]) -> u32 {
    value.try_into().map_or(0, u32::from_be_bytes)
}

/// Reads the first attribute of this kind.
fn address(message: &Message, kind: AttrType) -> Option<SocketAddr> {
    let mut address = XorMappedAddress::default();
    address.get_from_as(message, kind).ok()?;
    Some(SocketAddr::new(address.ip, address.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_requests_and_channel_data() {
        assert!(is_answer(&[0x01, 0x13]) && is_answer(&[0x01, 0x01]));
        assert!(!is_answer(&[0x00, 0x01]) && !is_answer(&[0x40, 0x00]) && !is_answer(&[]));
        assert_eq!(transaction(&[0x40; 24]), None);
    }

    #[test]
    fn channel_data_is_read_as_such() {
        let mut facts = Facts::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_eq!(
            unasked(b"\x40\x01\x00\x02hi", &mut facts),
            "ChannelData 0x4001 \"hi\""
        );
    }
}

//! What the borrowed view and the codec's own decoder must agree on, for any bytes. Each function asserts one point.
//!
//! Two parsers that disagree about one message are a way around authentication: one reads the username, the other what
//! is done in its name. So the view may refuse more than the codec, for reasons listed here, and may never read otherwise.
//! Not in: where the bytes come from; properties and the fuzzer both call this.

use stun::attributes::{
    ATTR_FINGERPRINT, ATTR_MESSAGE_INTEGRITY, ATTR_MESSAGE_INTEGRITY_SHA256, AttrType, RawAttribute,
};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{Message, Setter};
use turn_wire::{Fingerprint, IntegrityKey, Packet, ParseError, Request, attr, parse};

/// What the view accepts, the codec accepts, and reads the same attributes in it.
pub(crate) fn view_reads_what_the_codec_reads(bytes: &[u8]) {
    let Ok(Packet::Stun(view)) = parse(bytes) else {
        return;
    };
    let message = codec(bytes).expect("the codec accepts what the view accepts");
    assert_eq!(
        u16::from_be_bytes([bytes[0], bytes[1]]),
        message.typ.value()
    );
    assert_eq!(view.transaction_id(), message.transaction_id.0);
    let ours: Vec<(u16, &[u8])> = view
        .attributes()
        .map(|attribute| (translated(attribute.kind), attribute.value))
        .collect();
    let theirs: Vec<(u16, &[u8])> = obeyed(&message.attributes.0)
        .into_iter()
        .map(|attribute| (attribute.typ.value(), attribute.value.as_slice()))
        .collect();
    assert_eq!(ours, theirs);
    assert!(Request::decode(&view).is_ok());
}

/// What the codec accepts, the view refuses only for its stated reasons.
pub(crate) fn refusals_are_justified(bytes: &[u8]) {
    let (Err(refusal), Some(message)) = (parse(bytes), codec(bytes)) else {
        return;
    };
    let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    let justified = match refusal {
        ParseError::Foreign => bytes[0] >= 0x80,
        // First bits 01 are ChannelData here, whose length field these bytes then fail.
        ParseError::Length => bytes[0] >= 0x40 || length % 4 != 0 || bytes.len() != 20 + length,
        ParseError::FingerprintNotLast => !fingerprint_is_last(&message),
        _ => false,
    };
    assert!(justified, "{refusal:?}");
}

/// MESSAGE-INTEGRITY verifies here if and only if it does in the codec, and not behind MESSAGE-INTEGRITY-SHA256.
pub(crate) fn integrity_is_judged_alike(bytes: &[u8], key: &[u8]) {
    let Ok(Packet::Stun(view)) = parse(bytes) else {
        return;
    };
    let mut message = codec(bytes).expect("the codec accepts what the view accepts");
    let kinds: Vec<AttrType> = (message.attributes.0.iter())
        .map(|attribute| attribute.typ)
        .collect();
    let ours = view.verify(&IntegrityKey::new(key));
    let theirs = MessageIntegrity(key.to_vec()).check(&mut message).is_ok();
    let first = |kind| {
        let at = kinds.iter().position(|&other| other == kind);
        at.unwrap_or(usize::MAX)
    };
    if first(ATTR_MESSAGE_INTEGRITY) < first(ATTR_MESSAGE_INTEGRITY_SHA256) {
        assert_eq!(ours, theirs);
    } else {
        assert!(!ours);
    }
}

/// FINGERPRINT is right here if and only if the codec says so; one that the codec adds is right.
pub(crate) fn fingerprints_are_judged_alike(bytes: &[u8]) {
    let Ok(Packet::Stun(open)) = parse(bytes) else {
        return;
    };
    let mut message = codec(bytes).expect("the codec accepts what the view accepts");
    if open.fingerprint() != Fingerprint::Absent {
        let theirs = FINGERPRINT.check(&message).is_ok();
        assert_eq!(open.fingerprint() == Fingerprint::Right, theirs);
    } else if message.raw.len() <= usize::from(u16::MAX) {
        FINGERPRINT.add_to(&mut message).expect("there is room");
        let Ok(Packet::Stun(sealed)) = parse(&message.raw) else {
            panic!("a fingerprint of the codec's breaks the message");
        };
        assert_eq!(sealed.fingerprint(), Fingerprint::Right);
    }
}

fn codec(bytes: &[u8]) -> Option<Message> {
    let mut message = Message::new();
    message.unmarshal_binary(bytes).ok().map(|()| message)
}

/// What RFC 8489 §14.5 to §14.7 leave of a list of attributes.
fn obeyed(all: &[RawAttribute]) -> Vec<&RawAttribute> {
    let mut kept: Vec<&RawAttribute> = Vec::new();
    for attribute in all {
        let seen = |kind: AttrType| kept.iter().any(|earlier| earlier.typ == kind);
        let passed = match attribute.typ {
            _ if seen(ATTR_FINGERPRINT) => false,
            ATTR_FINGERPRINT => true,
            _ if seen(ATTR_MESSAGE_INTEGRITY_SHA256) => false,
            ATTR_MESSAGE_INTEGRITY_SHA256 => true,
            _ => !seen(ATTR_MESSAGE_INTEGRITY),
        };
        if passed {
            kept.push(attribute);
        }
    }
    kept
}

/// The codec translates this number while it reads; the view reports what stands there.
fn translated(kind: u16) -> u16 {
    if kind == 0x8020 {
        attr::XOR_MAPPED_ADDRESS
    } else {
        kind
    }
}

fn fingerprint_is_last(message: &Message) -> bool {
    let position = message
        .attributes
        .0
        .iter()
        .position(|attribute| attribute.typ == ATTR_FINGERPRINT);
    position.is_none_or(|at| at + 1 == message.attributes.0.len())
}

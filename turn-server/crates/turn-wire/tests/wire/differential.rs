//! The borrowed view against the codec's own decoder, on messages that are sound, damaged or hostile.
//!
//! Two parsers that disagree about one message are a way around authentication: one reads the username, the other what
//! is done in its name. So the view may refuse more than the codec, for reasons listed here, and may never read otherwise.

use proptest::prelude::*;
use stun::attributes::{
    ATTR_FINGERPRINT, ATTR_MESSAGE_INTEGRITY, ATTR_MESSAGE_INTEGRITY_SHA256, AttrType, RawAttribute,
};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::Message;

use crate::support::view;
use turn_wire::{
    Fingerprint, IntegrityKey, Method, Packet, ParseError, Request, RequestBuilder, attr, parse,
};

const KEY: &[u8] = b"swordfish";

/// Four times the usual number of cases, or more if `PROPTEST_CASES` asks for them.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.max(1024),
        ..usual
    }
}

/// Numbers that some rule speaks of, and others.
fn kind() -> impl Strategy<Value = u16> {
    let closing = [
        attr::MESSAGE_INTEGRITY,
        attr::MESSAGE_INTEGRITY_SHA256,
        attr::FINGERPRINT,
    ];
    let usual = [
        attr::USERNAME,
        attr::REALM,
        attr::NONCE,
        attr::LIFETIME,
        attr::XOR_PEER_ADDRESS,
        attr::DATA,
        0x8020,
    ];
    prop_oneof![2 => prop::sample::select(closing.to_vec()), 4 => prop::sample::select(usual.to_vec()), 1 => any::<u16>()]
}

fn attribute() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![1 => Just(4_usize), 1 => Just(20), 1 => Just(32), 3 => 0..40_usize];
    (
        kind(),
        length.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length)),
        any::<u8>(),
    )
        .prop_map(|(kind, value, padding)| {
            let mut bytes = [kind.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
            bytes.extend(&value);
            bytes.resize(bytes.len().next_multiple_of(4), padding);
            bytes
        })
}

/// A message that is sound but for the order and meaning of its attributes, and its top bits now and then.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let typ = prop_oneof![8 => 0..0x4000_u16, 1 => any::<u16>()];
    (
        typ,
        any::<[u8; 12]>(),
        prop::collection::vec(attribute(), 0..6),
    )
        .prop_map(|(typ, id, attributes)| {
            let body = attributes.concat();
            let length = body.len() as u16;
            [
                &typ.to_be_bytes()[..],
                &length.to_be_bytes(),
                &stun::message::MAGIC_COOKIE.to_be_bytes(),
                &id,
                &body,
            ]
            .concat()
        })
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize),
    Extend(Vec<u8>),
    Length(u16),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match *self {
            Self::Flip(at, bits) => {
                let at = at % bytes.len().max(1);
                bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= bits);
            }
            Self::Set(at, value) => {
                let at = at % bytes.len().max(1);
                bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte = value);
            }
            Self::Cut(by) => bytes.truncate(bytes.len().saturating_sub(by)),
            Self::Extend(ref more) => bytes.extend(more),
            Self::Length(length) => bytes
                .iter_mut()
                .skip(2)
                .zip(length.to_be_bytes())
                .for_each(|(byte, value)| *byte = value),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (20..60_usize, any::<u8>()).prop_map(|(at, value)| Damage::Set(at, value)),
        (1..30_usize).prop_map(Damage::Cut),
        prop::collection::vec(any::<u8>(), 1..9).prop_map(Damage::Extend),
        (0..200_u16).prop_map(Damage::Length),
    ]
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let damages = prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(damage(), 1..4)];
    (message(), damages).prop_map(|(mut bytes, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    })
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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn view_accepts_nothing_that_the_codec_rejects_and_reads_the_same(bytes in hostile()) {
        let Ok(Packet::Stun(view)) = parse(&bytes) else { return Ok(()) };
        let message = codec(&bytes);
        prop_assert!(message.is_some(), "the codec rejects what the view accepts");
        let message = message.unwrap();
        prop_assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), message.typ.value());
        prop_assert_eq!(view.transaction_id(), message.transaction_id.0);
        let ours: Vec<(u16, Vec<u8>)> = view.attributes().map(|attribute| (translated(attribute.kind), attribute.value.to_vec())).collect();
        let theirs: Vec<(u16, Vec<u8>)> =
            obeyed(&message.attributes.0).into_iter().map(|attribute| (attribute.typ.value(), attribute.value.clone())).collect();
        prop_assert_eq!(ours, theirs);
        prop_assert!(Request::decode(&view).is_ok());
    }

    #[test]
    fn view_refuses_what_the_codec_accepts_only_for_its_stated_reasons(bytes in hostile()) {
        let (Err(refusal), Some(message)) = (parse(&bytes), codec(&bytes)) else { return Ok(()) };
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let justified = match refusal {
            ParseError::Foreign => bytes[0] >= 0x80,
            // First bits 01 are ChannelData here, whose length field these bytes then fail.
            ParseError::Length => bytes[0] >= 0x40 || length % 4 != 0 || bytes.len() != 20 + length,
            ParseError::FingerprintNotLast => !fingerprint_is_last(&message),
            _ => false,
        };
        prop_assert!(justified, "{refusal:?}");
    }

    #[test]
    fn integrity_that_verifies_here_verifies_in_the_codec(
        (method, front, behind) in (0..=0xFFF_u16, prop::collection::vec(attribute(), 0..4), prop::collection::vec(attribute(), 0..4)),
        (damages, id) in (prop::collection::vec(damage(), 0..2), any::<[u8; 12]>()),
    ) {
        let mut builder = RequestBuilder::new(Method::from_number(method).unwrap(), id);
        for attribute in front {
            let (kind, length) = (u16::from_be_bytes([attribute[0], attribute[1]]), usize::from(attribute[3]));
            builder = builder.attribute(kind, &attribute[4..4 + length]);
        }
        let mut bytes = builder.finish(Some(&IntegrityKey::new(KEY)), false);
        bytes.extend(behind.concat());
        let length = (bytes.len() - 20) as u16;
        Damage::Length(length).apply(&mut bytes);
        damages.iter().for_each(|damage| damage.apply(&mut bytes));

        let Ok(Packet::Stun(view)) = parse(&bytes) else { return Ok(()) };
        let mut message = codec(&bytes).unwrap();
        let kinds: Vec<AttrType> = message.attributes.0.iter().map(|attribute| attribute.typ).collect();
        let ours = view.verify(&IntegrityKey::new(KEY));
        let theirs = MessageIntegrity(KEY.to_vec()).check(&mut message).is_ok();
        let first = |kind| kinds.iter().position(|&other| other == kind).unwrap_or(usize::MAX);
        if first(ATTR_MESSAGE_INTEGRITY) < first(ATTR_MESSAGE_INTEGRITY_SHA256) {
            prop_assert_eq!(ours, theirs);
        } else {
            prop_assert!(!ours);
        }
    }

    #[test]
    fn fingerprints_are_judged_as_the_codec_judges_them(bytes in hostile()) {
        let mut sealed = bytes;
        let length = sealed.len().saturating_sub(20) as u16;
        Damage::Length(length).apply(&mut sealed);
        let Ok(Packet::Stun(open)) = parse(&sealed) else { return Ok(()) };
        if open.fingerprint() == Fingerprint::Absent {
            let mut message = codec(&sealed).unwrap();
            stun::message::Setter::add_to(&FINGERPRINT, &mut message).unwrap();
            prop_assert_eq!(view(&message.raw).fingerprint(), Fingerprint::Right);
        } else {
            let theirs = FINGERPRINT.check(&codec(&sealed).unwrap()).is_ok();
            prop_assert_eq!(open.fingerprint() == Fingerprint::Right, theirs);
        }
    }

    #[test]
    fn any_bytes_are_parsed_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(Packet::Stun(view)) = parse(&bytes) {
            let _ = turn_wire::parse_send(&view);
        }
    }
}

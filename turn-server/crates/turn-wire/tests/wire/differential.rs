//! The borrowed view against the codec's own decoder, on messages that are sound, damaged or hostile.
//!
//! Here are the messages; what must hold of them is in `agreement`.

use proptest::prelude::*;

use crate::agreement::{
    fingerprints_are_judged_alike, integrity_is_judged_alike, refusals_are_justified,
    view_reads_what_the_codec_reads,
};
use turn_wire::{IntegrityKey, Method, Packet, RequestBuilder, attr, parse};

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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn view_accepts_nothing_that_the_codec_rejects_and_reads_the_same(bytes in hostile()) {
        view_reads_what_the_codec_reads(&bytes);
    }

    #[test]
    fn view_refuses_what_the_codec_accepts_only_for_its_stated_reasons(bytes in hostile()) {
        refusals_are_justified(&bytes);
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

        integrity_is_judged_alike(&bytes, KEY);
    }

    #[test]
    fn fingerprints_are_judged_as_the_codec_judges_them(bytes in hostile()) {
        let mut sealed = bytes;
        let length = sealed.len().saturating_sub(20) as u16;
        Damage::Length(length).apply(&mut sealed);
        fingerprints_are_judged_alike(&sealed);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(Packet::Stun(view)) = parse(&bytes) {
            let _ = turn_wire::parse_send(&view);
        }
    }
}

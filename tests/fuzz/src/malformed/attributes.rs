//! Classes of attributes that are empty, doubled, out of place or unknown.

use turn_wire::{Method, RequestBuilder, attr};

use super::{
    Entry, Maker, Member, Outcome, Sender, append, claim_length, member, peer_v4, refused, silent,
    with,
};

pub(super) const CLASSES: &[Entry] = &[
    (
        "a mandatory attribute of length zero",
        Sender::Holder,
        empty,
    ),
    ("padding that is not zero", Sender::Stranger, padding),
    (
        "attributes off their alignment",
        Sender::Stranger,
        unaligned,
    ),
    ("an attribute twice", Sender::Holder, twice),
    (
        "attributes behind MESSAGE-INTEGRITY",
        Sender::Holder,
        behind_integrity,
    ),
    (
        "attributes behind FINGERPRINT",
        Sender::Stranger,
        behind_fingerprint,
    ),
    (
        "FINGERPRINT wrong or not last",
        Sender::Stranger,
        fingerprint,
    ),
    (
        "unknown attributes that must be understood, 1 to 100",
        Sender::Stranger,
        unknown,
    ),
    (
        "PADDING, CHANGE-REQUEST and RESPONSE-PORT",
        Sender::Stranger,
        discovery,
    ),
];

fn empty(maker: &mut Maker<'_>) -> Member {
    let (method, kind) = maker.pick(&[
        (Method::REFRESH, attr::LIFETIME),
        (Method::CREATE_PERMISSION, attr::XOR_PEER_ADDRESS),
        (Method::CHANNEL_BIND, attr::CHANNEL_NUMBER),
        (Method::CHANNEL_BIND, attr::XOR_PEER_ADDRESS),
    ]);
    refused(maker.ask(method, &[(kind, &[])]), &[400])
}

/// RFC 8489 §14: padding is ignored, whatever it is.
fn padding(maker: &mut Maker<'_>) -> Member {
    let length = maker.pick(&[1, 2, 3, 5, 6, 7]);
    let value = maker.noise(length);
    let mut bytes = maker.binding();
    append(&mut bytes, 0x8022, &value);
    let end = bytes.len();
    let gap = length.next_multiple_of(4) - length;
    bytes[end - gap..].copy_from_slice(&maker.noise(gap));
    member(bytes, &[Outcome::Success])
}

/// What stands at the next aligned place may be an attribute of any kind, or none.
fn unaligned(maker: &mut Maker<'_>) -> Member {
    let mut bytes = maker.binding();
    let length = maker.pick(&[1, 2, 3, 5, 6, 7]);
    bytes.extend(0x8022_u16.to_be_bytes());
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend(maker.noise(length));
    bytes.extend([0x80, 0x28, 0, 4]);
    bytes.extend(maker.noise(4));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = bytes.len() - 20;
    claim_length(&mut bytes, length);
    member(
        bytes,
        &[Outcome::Silence, Outcome::Success, Outcome::Code(420)],
    )
}

/// RFC 8489 §14: the first one counts.
fn twice(maker: &mut Maker<'_>) -> Member {
    let peer = peer_v4([203, 0, 113, 77], 9);
    let (good, bad): ([u8; 4], [u8; 4]) = ([0x40, 0x01, 0, 0], [0x12, 0x34, 0, 0]);
    let (first, second, outcome) = if maker.number.is_multiple_of(2) {
        (good, bad, Outcome::Success)
    } else {
        (bad, good, Outcome::Code(400))
    };
    let number = attr::CHANNEL_NUMBER;
    let attributes = [
        (number, &first[..]),
        (number, &second),
        (attr::XOR_PEER_ADDRESS, &peer),
    ];
    member(maker.ask(Method::CHANNEL_BIND, &attributes), &[outcome])
}

/// A LIFETIME of zero that nobody has signed ends nothing: the sender is asked for its allocation again afterwards.
fn behind_integrity(maker: &mut Maker<'_>) -> Member {
    let mut bytes = maker.ask(Method::REFRESH, &[]);
    for _ in 0..=maker.below(3) {
        append(&mut bytes, attr::LIFETIME, &[0; 4]);
    }
    if maker.number.is_multiple_of(3) {
        let value = maker.noise(8);
        append(&mut bytes, 0x7ABC, &value);
    }
    member(bytes, &[Outcome::Success])
}

fn sealed(maker: &mut Maker<'_>) -> Vec<u8> {
    maker.request(Method::BINDING).finish(None, true)
}

fn behind_fingerprint(maker: &mut Maker<'_>) -> Member {
    let mut bytes = sealed(maker);
    let kind = maker.pick(&[0x8022, attr::LIFETIME, attr::USERNAME, 0x7ABC]);
    let length = maker.below(9);
    let value = maker.noise(length);
    append(&mut bytes, kind, &value);
    silent(bytes)
}

fn fingerprint(maker: &mut Maker<'_>) -> Member {
    let mut bytes = sealed(maker);
    if maker.number.is_multiple_of(2) {
        let at = maker.pick(&[8, 15, 19, 24, 27]);
        bytes[at] ^= 1 << maker.below(8);
    } else {
        append(&mut bytes, attr::FINGERPRINT, &[0; 4]);
    }
    silent(bytes)
}

fn unknown(maker: &mut Maker<'_>) -> Member {
    let count = 1 + maker.number as u16 % 100;
    let first = 0x5000 + maker.below(0x1000) as u16;
    let mut request: RequestBuilder = maker.request(Method::BINDING);
    for kind in first..first + count {
        request = with(request, &[(kind, &[])]);
    }
    refused(request.finish(None, false), &[420])
}

/// Where discovery is off they mean nothing; nowhere is PADDING answered in kind, or an answer sent to another address.
fn discovery(maker: &mut Maker<'_>) -> Member {
    let mut request = maker.request(Method::BINDING);
    for (chance, kind, value) in [
        (1, 0x0026, vec![0; 64]),
        (2, 0x0003, vec![0, 0, 0, 6]),
        (4, 0x0027, vec![0x23, 0x82, 0, 0]),
    ] {
        if maker.number & chance != 0 || maker.number.is_multiple_of(8) {
            request = request.attribute(kind, &value);
        }
    }
    member(
        request.finish(None, false),
        &[Outcome::Success, Outcome::Code(420)],
    )
}

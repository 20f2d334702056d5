//! Classes of names, nonces and checksums that prove nothing.

use turn_wire::{Method, attr};

use super::{Entry, Maker, Member, Outcome, Sender, append, member, refused};

pub(super) const CLASSES: &[Entry] = &[
    (
        "MESSAGE-INTEGRITY of another length than 20",
        Sender::User,
        short_integrity,
    ),
    (
        "MESSAGE-INTEGRITY-SHA256 of 15, 17 or 33 bytes",
        Sender::User,
        odd_sha256,
    ),
    (
        "two checksums that contradict each other",
        Sender::User,
        two_checksums,
    ),
    (
        "USERNAME empty, long, not text, or a format",
        Sender::User,
        username,
    ),
    ("USERNAME with an impossible expiry", Sender::User, expiry),
    ("REALM or NONCE beyond 763 bytes", Sender::User, long_text),
    ("NONCE forged", Sender::User, nonce),
    ("MOBILITY-TICKET forged", Sender::User, ticket),
];

/// Neither an answer that grants nor one that tells more than that the proof is missing.
const UNPROVEN: [Outcome; 4] = [
    Outcome::Code(400),
    Outcome::Code(401),
    Outcome::Code(438),
    Outcome::Silence,
];

fn unsigned(maker: &mut Maker<'_>) -> Vec<u8> {
    let request = maker.request(Method::ALLOCATE).requested_transport(17);
    maker.named(request).finish(None, false)
}

fn short_integrity(maker: &mut Maker<'_>) -> Member {
    let mut bytes = unsigned(maker);
    let length = maker.pick(&[0, 1, 16, 19, 21, 24, 32, 64]);
    let value = maker.noise(length);
    append(&mut bytes, attr::MESSAGE_INTEGRITY, &value);
    member(bytes, &UNPROVEN)
}

fn odd_sha256(maker: &mut Maker<'_>) -> Member {
    let mut bytes = unsigned(maker);
    let length = maker.pick(&[0, 4, 12, 15, 17, 18, 33, 36, 64]);
    let value = maker.noise(length);
    append(&mut bytes, attr::MESSAGE_INTEGRITY_SHA256, &value);
    member(bytes, &UNPROVEN)
}

/// A right one and a wrong one, in either order; a right one alone would be believed.
fn two_checksums(maker: &mut Maker<'_>) -> Member {
    let mut bytes = unsigned(maker);
    let (sha1, sha256) = (maker.noise(20), maker.noise(32));
    let mut both = [
        (attr::MESSAGE_INTEGRITY, sha1),
        (attr::MESSAGE_INTEGRITY_SHA256, sha256),
    ];
    if maker.number.is_multiple_of(2) {
        both.reverse();
    }
    for (kind, value) in both {
        append(&mut bytes, kind, &value);
    }
    member(bytes, &UNPROVEN)
}

fn username(maker: &mut Maker<'_>) -> Member {
    let long = vec![b'a'; maker.pick(&[509, 513, 764, 60_000])];
    let names: [&[u8]; 9] = [
        b"",
        &long,
        b"ann\0admin",
        b"%n%n%s%s",
        b"ann\r\nSET x 1\r\n",
        b"\xff\xfe\xfd",
        "\u{202e}nna".as_bytes(),
        b"' OR 1=1 --",
        b"../../etc/passwd",
    ];
    let name = maker.pick(&names);
    let request = maker.request(Method::ALLOCATE).requested_transport(17);
    let request = request.attribute(attr::USERNAME, name);
    let request = request
        .realm(&maker.speaker.realm)
        .nonce(&maker.speaker.nonce);
    member(request.finish(Some(&maker.speaker.key), false), &UNPROVEN)
}

fn expiry(maker: &mut Maker<'_>) -> Member {
    let names = [
        "18446744073709551615:x",
        "18446744073709551616:x",
        "-1:x",
        "1.5e9:x",
        ":x",
        "99999999999999999999999999999999",
        "0:x",
        "+1700000000:x",
        " 1700000000:x",
        "0x7fffffff:x",
        "x:18446744073709551615",
        "1700000000:1700000000:x",
    ];
    let name = maker.pick(&names);
    let request = maker.request(Method::ALLOCATE).requested_transport(17);
    let request = request.username(name).realm(&maker.speaker.realm);
    let request = request.nonce(&maker.speaker.nonce);
    refused(request.finish(Some(&maker.speaker.key), false), &[400, 401])
}

fn long_text(maker: &mut Maker<'_>) -> Member {
    let length = maker.pick(&[764, 768, 1000, 1200]);
    let long = maker.noise(length);
    let request = maker.request(Method::ALLOCATE).requested_transport(17);
    let request = request.username(&maker.speaker.username);
    let request = match maker.number % 2 {
        0 => request
            .attribute(attr::REALM, &long)
            .nonce(&maker.speaker.nonce),
        _ => request.realm(&maker.speaker.realm).nonce(&long),
    };
    member(request.finish(Some(&maker.speaker.key), false), &UNPROVEN)
}

fn nonce(maker: &mut Maker<'_>) -> Member {
    let mut nonce = maker.speaker.nonce.clone();
    match maker.number % 3 {
        0 => nonce = maker.noise(16),
        1 => nonce.truncate(maker.below(15)),
        _ => {
            let at = maker.below(nonce.len());
            nonce[at] ^= 1 << maker.below(6);
        }
    }
    let request = maker.request(Method::ALLOCATE).requested_transport(17);
    let request = request.username(&maker.speaker.username);
    let request = request.realm(&maker.speaker.realm).nonce(&nonce);
    refused(
        request.finish(Some(&maker.speaker.key), false),
        &[400, 401, 438],
    )
}

fn ticket(maker: &mut Maker<'_>) -> Member {
    let length = maker.pick(&[0, 1, 8, 16, 32, 64, 400]);
    let ticket = maker.noise(length);
    let bytes = maker.ask(Method::REFRESH, &[(0x8030, &ticket)]);
    refused(bytes, &[400, 405, 420, 437])
}

//! Classes 1 to 9, and those of other protocols: what is wrong shows before any attribute is understood.

use super::{Carrier, Entry, Maker, Member, Outcome, Sender, append, claim_length, member, silent};

pub(super) const CLASSES: &[Entry] = &[
    ("nothing at all", Sender::Stranger, |_| silent(Vec::new())),
    ("shorter than a header", Sender::Stranger, short),
    ("first bits 10 and 11", Sender::Stranger, foreign),
    ("length no multiple of four", Sender::Stranger, uneven),
    ("length beyond the datagram", Sender::Stranger, too_long),
    ("bytes behind the message", Sender::Stranger, trailing),
    (
        "another cookie, or the one of RFC 3489",
        Sender::Stranger,
        cookie,
    ),
    ("an attribute that overruns", Sender::Stranger, overrun),
    ("an attribute of 65,535 bytes", Sender::Stranger, huge),
    (
        "ChannelData shorter than it says, empty, 65,535 bytes",
        Sender::Stranger,
        channel_data,
    ),
    ("messages cut and joined", Sender::Stranger, joined),
    (
        "TLS, DTLS, HTTP, SOCKS, SIP and QUIC",
        Sender::Stranger,
        protocols,
    ),
];

fn short(maker: &mut Maker<'_>) -> Member {
    let length = 1 + maker.below(19);
    let mut bytes = maker.binding();
    bytes.truncate(length);
    silent(bytes)
}

fn foreign(maker: &mut Maker<'_>) -> Member {
    let length = 1 + maker.below(200);
    let mut bytes = maker.noise(length);
    bytes[0] |= 0x80;
    silent(bytes)
}

fn uneven(maker: &mut Maker<'_>) -> Member {
    let more = maker.pick(&[1, 2, 3, 5, 6, 7, 21]);
    let mut bytes = maker.binding();
    bytes.extend(maker.noise(more));
    claim_length(&mut bytes, more);
    silent(bytes)
}

fn too_long(maker: &mut Maker<'_>) -> Member {
    let (more, length) = (maker.below(8) * 4, 32 + maker.below(16_000) * 4);
    let mut bytes = maker.binding();
    bytes.extend(vec![0; more]);
    claim_length(&mut bytes, length);
    silent(bytes)
}

/// On a stream, the message is whole and what follows is another.
fn trailing(maker: &mut Maker<'_>) -> Member {
    let more = 1 + maker.below(40);
    let mut bytes = maker.binding();
    bytes.extend(maker.noise(more));
    match maker.carrier {
        Carrier::Datagram => silent(bytes),
        Carrier::Stream => member(bytes, &[Outcome::Success, Outcome::Silence]),
    }
}

fn cookie(maker: &mut Maker<'_>) -> Member {
    let mut bytes = maker.binding();
    if maker.number.is_multiple_of(2) {
        let at = 4 + maker.below(4);
        bytes[at] ^= 1 << maker.below(8);
    } else {
        bytes[4..8].copy_from_slice(&maker.noise(4));
    }
    silent(bytes)
}

fn overrun(maker: &mut Maker<'_>) -> Member {
    let mut bytes = maker.binding();
    let value = maker.below(9);
    let value = maker.noise(value);
    append(&mut bytes, 0x8022, &value);
    let beyond = value.len() + 4 + maker.below(60_000);
    bytes[22..24].copy_from_slice(&(beyond as u16).to_be_bytes());
    silent(bytes)
}

fn huge(maker: &mut Maker<'_>) -> Member {
    let mut bytes = maker.binding();
    let kind = maker.pick(&[0x0006, 0x0012, 0x0013, 0x0008, 0x8022, 0x8028]);
    let value = maker.noise(16);
    append(&mut bytes, kind, &value);
    bytes[22..24].copy_from_slice(&[0xFF, 0xFF]);
    silent(bytes)
}

fn channel_data(maker: &mut Maker<'_>) -> Member {
    let number = 0x4000 + maker.below(0x4000);
    let (claimed, held) = maker.pick(&[
        (35_510, 3),
        (65_535, 8),
        (0, 0),
        (4, 3),
        (1, 0),
        (65_535, 1200),
    ]);
    let mut bytes = (number as u16).to_be_bytes().to_vec();
    bytes.extend((claimed as u16).to_be_bytes());
    bytes.extend(maker.noise(held));
    silent(bytes)
}

/// Two messages in one datagram are none. On a stream each is answered.
fn joined(maker: &mut Maker<'_>) -> Member {
    let bytes = [maker.binding(), maker.binding()].concat();
    match maker.carrier {
        Carrier::Datagram => silent(bytes),
        Carrier::Stream => member(bytes, &[Outcome::Success]),
    }
}

fn protocols(maker: &mut Maker<'_>) -> Member {
    let beginnings: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x20\x01\0\0\xff\0\0\0\x10\0\0\x10",
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /?x=1 HTTP/1.0\r\nContent-Length: 99999999\r\n\r\n",
        b"\x05\x02\x00\x02",
        b"\x04\x01\x00\x50\x7f\0\0\x01me\0",
        b"OPTIONS sip:here SIP/2.0\r\nVia: SIP/2.0/UDP here\r\n\r\n",
        b"\xc0\0\0\0\x01\x08\x01\x02\x03\x04\x05\x06\x07\x08\0\0",
    ];
    let mut bytes = maker.pick(&beginnings).to_vec();
    let more = maker.below(60);
    bytes.extend(maker.noise(more));
    silent(bytes)
}

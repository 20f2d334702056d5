//! Classes of requests whose parts are sound and contradict each other or the rules.

use turn_wire::{Method, RequestBuilder, attr};

use super::{Entry, Maker, Member, Outcome, Sender, member, peer_v4, refused, silent};

pub(super) const CLASSES: &[Entry] = &[
    ("unknown methods", Sender::Stranger, method),
    ("responses and indications", Sender::Stranger, no_request),
    (
        "XOR-PEER-ADDRESS of no family or odd length",
        Sender::Holder,
        peer_shape,
    ),
    ("a peer's port of zero", Sender::Holder, port_zero),
    (
        "a peer of a family without a relay",
        Sender::Holder,
        peer_family,
    ),
    (
        "REQUESTED-TRANSPORT other than UDP and TCP",
        Sender::User,
        transport,
    ),
    (
        "EVEN-PORT with RESERVATION-TOKEN, or a token never given",
        Sender::User,
        reservation,
    ),
    (
        "REQUESTED- and ADDITIONAL-ADDRESS-FAMILY in contradiction",
        Sender::User,
        families,
    ),
    (
        "LIFETIME of 2^32-1, or of odd length",
        Sender::Holder,
        lifetime,
    ),
    ("channel numbers out of range", Sender::Holder, channel),
    (
        "DATA absent, empty or long, to nobody",
        Sender::Stranger,
        data,
    ),
];

fn method(maker: &mut Maker<'_>) -> Member {
    const KNOWN: [usize; 10] = [1, 3, 4, 6, 7, 8, 9, 10, 11, 12];
    let number = loop {
        let number = maker.below(0x1000);
        if !KNOWN.contains(&number) {
            break number;
        }
    };
    let method = Method::from_number(number as u16).expect("twelve bits");
    let bytes = maker.request(method).finish(None, false);
    member(bytes, &[Outcome::Code(400), Outcome::Silence])
}

fn no_request(maker: &mut Maker<'_>) -> Member {
    let mut bytes = maker.binding();
    // The class's two bits stand at 0x0110 of the type: an indication, a success, an error.
    let class = maker.pick(&[0x0010_u16, 0x0100, 0x0110]);
    let method = maker.pick(&[0x0001_u16, 0x0003, 0x0004, 0x0008, 0x0009, 0x0007]);
    bytes[..2].copy_from_slice(&(class | method).to_be_bytes());
    silent(bytes)
}

fn peer_shape(maker: &mut Maker<'_>) -> Member {
    let mut value = peer_v4([203, 0, 113, 5], 9);
    if maker.number.is_multiple_of(2) {
        value[1] = maker.pick(&[0, 3, 4, 0xFF]);
    } else {
        value.resize(maker.pick(&[0, 1, 4, 7, 9, 12, 19, 21, 40]), 0);
    }
    let bytes = maker.ask(
        Method::CREATE_PERMISSION,
        &[(attr::XOR_PEER_ADDRESS, &value)],
    );
    refused(bytes, &[400, 440, 443])
}

/// A permission is for an address alone (RFC 8656 §9); to port zero no datagram can go.
fn port_zero(maker: &mut Maker<'_>) -> Member {
    let peer = peer_v4([203, 0, 113, 5], 0);
    if maker.number.is_multiple_of(2) {
        let bytes = maker.ask(
            Method::CREATE_PERMISSION,
            &[(attr::XOR_PEER_ADDRESS, &peer)],
        );
        return member(bytes, &[Outcome::Success]);
    }
    let number = [0x40, 2, 0, 0];
    let attributes = [
        (attr::CHANNEL_NUMBER, &number[..]),
        (attr::XOR_PEER_ADDRESS, &peer),
    ];
    member(
        maker.ask(Method::CHANNEL_BIND, &attributes),
        &[Outcome::Code(400), Outcome::Code(403)],
    )
}

fn peer_family(maker: &mut Maker<'_>) -> Member {
    let mut value = vec![0, 2, 1, 2];
    value.extend(maker.noise(16));
    // Whatever the noise is, it unmasks to an address outside 2000::/3 or in it: the family is judged first.
    refused(
        maker.ask(
            Method::CREATE_PERMISSION,
            &[(attr::XOR_PEER_ADDRESS, &value)],
        ),
        &[443],
    )
}

fn transport(maker: &mut Maker<'_>) -> Member {
    let protocol = loop {
        let protocol = maker.below(256) as u8;
        if protocol != 17 && protocol != 6 {
            break protocol;
        }
    };
    let value = [protocol, 0, 0, 0];
    refused(
        maker.ask(Method::ALLOCATE, &[(attr::REQUESTED_TRANSPORT, &value)]),
        &[442],
    )
}

fn reservation(maker: &mut Maker<'_>) -> Member {
    let token = maker.noise(8);
    if maker.number.is_multiple_of(2) {
        let even: &[u8] = if maker.number.is_multiple_of(4) {
            &[0x80]
        } else {
            &[0]
        };
        let attributes = [(attr::EVEN_PORT, even), (attr::RESERVATION_TOKEN, &token)];
        return refused(maker.allocate(&attributes), &[400]);
    }
    refused(maker.allocate(&[(attr::RESERVATION_TOKEN, &token)]), &[508])
}

fn families(maker: &mut Maker<'_>) -> Member {
    let (v4, v6, other): (&[u8], &[u8], &[u8]) = (&[1, 0, 0, 0], &[2, 0, 0, 0], &[9, 0, 0, 0]);
    let (requested, additional) = (
        attr::REQUESTED_ADDRESS_FAMILY,
        attr::ADDITIONAL_ADDRESS_FAMILY,
    );
    match maker.number % 3 {
        0 => refused(maker.allocate(&[(requested, v4), (additional, v6)]), &[400]),
        1 => refused(maker.allocate(&[(additional, v4)]), &[400]),
        _ => refused(maker.allocate(&[(requested, other)]), &[440]),
    }
}

fn lifetime(maker: &mut Maker<'_>) -> Member {
    if maker.number.is_multiple_of(2) {
        return member(
            maker.ask(Method::REFRESH, &[(attr::LIFETIME, &[0xFF; 4])]),
            &[Outcome::Success],
        );
    }
    let length = maker.pick(&[1, 2, 3, 5, 8]);
    let value = maker.noise(length);
    refused(
        maker.ask(Method::REFRESH, &[(attr::LIFETIME, &value)]),
        &[400],
    )
}

fn channel(maker: &mut Maker<'_>) -> Member {
    let number = maker
        .pick(&[0_u16, 1, 0x3FFF, 0x8000, 0xC000, 0xFFFF])
        .to_be_bytes();
    let number = [number[0], number[1], 0, 0];
    let peer = peer_v4([203, 0, 113, 6], 9);
    let attributes = [
        (attr::CHANNEL_NUMBER, &number[..]),
        (attr::XOR_PEER_ADDRESS, &peer),
    ];
    refused(maker.ask(Method::CHANNEL_BIND, &attributes), &[400])
}

fn data(maker: &mut Maker<'_>) -> Member {
    let peer = peer_v4([203, 0, 113, 5], 9);
    let send = RequestBuilder::indication(Method::SEND, maker.id());
    let send = send.attribute(attr::XOR_PEER_ADDRESS, &peer);
    let send = match maker.number % 3 {
        0 => send,
        1 => send.attribute(attr::DATA, &[]),
        _ => {
            let length = maker.pick(&[1, 1200, 60_000]);
            let value = maker.noise(length);
            send.attribute(attr::DATA, &value)
        }
    };
    silent(send.finish(None, false))
}

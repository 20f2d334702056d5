//! What comes back to an address that somebody has written on his packets: how much of it, and to what.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::strangers::{FLAGS, HERE, TURN, answered, one_stranger};

use crate::{both, promise};

const TURN6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 3478);

/// Everything on both loopback addresses. The realm has eight characters, as the budgets mean it.
fn flags() -> Vec<&'static str> {
    [&FLAGS[..], &["--listening-ip=::1"]].concat()
}

fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap();
    let mut message = kind.to_be_bytes().to_vec();
    message.extend(length.to_be_bytes());
    message.extend(0x2112_A442_u32.to_be_bytes());
    message.extend(*b"transactions");
    message.extend(attributes);
    message
}

/// The largest answer to one of these requests, as a multiple of it.
fn largest(to: SocketAddr, requests: &[Vec<u8>]) -> Result<f64> {
    let mut largest: f64 = 0.0;
    for request in requests {
        let socket = UdpSocket::bind((if to.is_ipv4() { HERE } else { to.ip() }, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        socket.send_to(request, to)?;
        let length = answered(&socket)?.unwrap_or(0);
        largest = largest.max(length as f64 / request.len() as f64);
    }
    Ok(largest)
}

#[test]
fn one_answer_is_little_longer_than_its_request() {
    let browser = e2e::strangers::allocate(7);
    let methods = [
        0x002, 0x003, 0x004, 0x008, 0x009, 0x00A, 0x00B, 0x00C, 0xEFF,
    ];
    let bare: Vec<_> = methods.iter().map(|kind| message(*kind, &[])).collect();
    let unknown = |kind| message(kind, &[0x30, 0xFF, 0, 0]);
    let padded = vec![
        message(1, &[0, 0x26, 0, 0]),
        message(1, &[0, 3, 0, 4, 0, 0, 0, 6]),
    ];
    let classes = [
        ("Binding over IPv4", 1.6, TURN, vec![message(1, &[])]),
        ("Binding over IPv6", 2.2, TURN6, vec![message(1, &[])]),
        ("a browser's first Allocate", 2.15, TURN, vec![browser]),
        ("other requests of 20 bytes", 1.4, TURN, bare),
        (
            "unknown attributes",
            1.6,
            TURN,
            vec![unknown(1), unknown(3), unknown(4)],
        ),
        ("PADDING and CHANGE-REQUEST", 1.6, TURN, padded),
    ];
    let measured = both(&flags(), |space, _| {
        let classes = &classes;
        space.inside(move || {
            let of = |(_, _, to, requests): &(_, _, SocketAddr, Vec<_>)| largest(*to, requests);
            classes.iter().map(of).collect::<Result<Vec<f64>>>()
        })
    });
    let [ours, coturns] = measured.unwrap();
    for (((what, budget, ..), ours), coturn) in classes.iter().zip(ours).zip(coturns) {
        promise(
            &format!("bytes back to one packet: {what}"),
            &format!("{budget:.2}x"),
            format!("{ours:.2}x"),
            format!("{coturn:.2}x"),
        );
        assert!(ours > 0.0 && ours <= *budget, "{what}: {ours}");
    }
}

#[test]
fn one_address_is_answered_less_and_less() {
    const REQUESTS: u32 = 100_000;
    let measured = both(&flags(), |space, _| one_stranger(space, REQUESTS));
    let [ours, coturn] = measured
        .unwrap()
        .map(|heard| heard as f64 / f64::from(REQUESTS * 28));
    promise(
        "bytes back to 100,000 requests from one address",
        "200 answers/s",
        format!("{ours:.2}x"),
        format!("{coturn:.2}x"),
    );
    // A minute of such answers is far above what this takes.
    assert!(ours < 0.3, "{ours}");
}

/// Only requests may be answered: two servers that answer answers never come to rest (CVE-2024-2169 and its like).
#[test]
fn what_is_no_request_is_not_answered() {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for method in [1, 3, 4, 6, 7, 8, 9, 0xA, 0xB, 0xC] {
        // Indication, success, error.
        packets.extend([0x010, 0x100, 0x110].map(|class| message(method | class, &[])));
    }
    let errors = [400, 401, 437, 438, 500].map(|code| {
        let attribute = [0, 9, 0, 4, 0, 0, (code / 100) as u8, (code % 100) as u8];
        message(0x113, &attribute)
    });
    packets.extend(errors);
    packets.extend((0..=255).map(|first| vec![first; 24]));
    let sent = packets.len();
    let measured = both(&flags(), |space, _| {
        space.inside(|| {
            let socket = UdpSocket::bind((HERE, 0))?;
            socket.set_read_timeout(Some(Duration::from_millis(300)))?;
            socket.connect(TURN)?;
            let mut heard = 0;
            for packet in &packets {
                socket.send(packet)?;
                // Answered in order: once this one is, that one would have been.
                socket.send(&message(1, &[]))?;
                ensure!(
                    answered(&socket)?.is_some(),
                    "not even a Binding is answered"
                );
                socket.set_read_timeout(Some(Duration::from_millis(1)))?;
                heard += u32::from(answered(&socket)?.is_some());
                socket.set_read_timeout(Some(Duration::from_millis(300)))?;
            }
            Ok(heard)
        })
    });
    let [ours, coturn] = measured.unwrap();
    promise(
        &format!("answers to {sent} packets that are no request"),
        "0",
        ours,
        coturn,
    );
    assert_eq!(ours, 0);
}

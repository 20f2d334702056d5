//! A PROXY header means the same however it was cut, claims no byte that is not there, and names the client that it was made for.

use std::net::{IpAddr, SocketAddr};

use arbitrary::Unstructured;

#[path = "../../../turn-server/crates/turn-io/src/streams/proxy.rs"]
#[allow(dead_code, reason = "not all of it is for the outside")]
mod parser;
use parser::{Header, LONGEST, Malformed, SIGNATURE_V2, parse};

/// The first byte chooses between the bytes as they are, behind either signature, and a sound header that may be damaged.
pub(crate) fn run(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    match how & 7 {
        0 => whole_or_cut(rest),
        1 | 2 => whole_or_cut(&[SIGNATURE_V2, rest].concat()),
        3 | 4 => whole_or_cut(&[b"PROXY ", rest].concat()),
        _ => {
            let _ = sound(rest);
        }
    }
}

/// Judges all beginnings of these bytes.
fn whole_or_cut(bytes: &[u8]) {
    let all = parse(bytes);
    if let Ok(Header::Whole { length, client }) = all {
        assert!(length <= bytes.len() && length <= LONGEST);
        assert!(client.is_none_or(|client| client.ip() == client.ip().to_canonical()));
    }
    // What has not ended by then never will.
    assert!(bytes.len() < LONGEST || all != Ok(Header::Incomplete));
    for length in 0..bytes.len() {
        match (parse(&bytes[..length]), all) {
            // More bytes end a header, or show that it is none.
            (Ok(Header::Incomplete), _) => {}
            (Err(Malformed), _) => assert_eq!(all, Err(Malformed)),
            // What follows a header changes nothing.
            (part @ Ok(Header::Whole { .. }), _) => assert_eq!(part, all),
        }
    }
}

/// Makes a header of a known client, which has to be read back; then damages a byte of it.
fn sound(data: &[u8]) -> arbitrary::Result<()> {
    let mut source = Unstructured::new(data);
    let (client, server): (SocketAddr, SocketAddr) = if source.arbitrary()? {
        (v4(&mut source)?, v4(&mut source)?)
    } else {
        (v6(&mut source)?, v6(&mut source)?)
    };
    let mut header = if source.arbitrary()? {
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let (ip, to, from_port, to_port) = (client.ip(), server.ip(), client.port(), server.port());
        format!("PROXY {family} {ip} {to} {from_port} {to_port}\r\n").into_bytes()
    } else {
        let tlvs: &[u8] = source.arbitrary()?;
        version_2(client, server, tlvs)
    };
    let canonical = SocketAddr::new(client.ip().to_canonical(), client.port());
    let expected = Header::Whole {
        length: header.len(),
        client: Some(canonical),
    };
    assert_eq!(parse(&header), Ok(expected));
    let at = source.choose_index(header.len())?;
    header[at] ^= source.arbitrary::<u8>()?;
    header.extend(source.take_rest());
    whole_or_cut(&header);
    Ok(())
}

fn version_2(client: SocketAddr, server: SocketAddr, tlvs: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for ip in [client.ip(), server.ip()] {
        match ip {
            IpAddr::V4(ip) => body.extend(ip.octets()),
            IpAddr::V6(ip) => body.extend(ip.octets()),
        }
    }
    body.extend(client.port().to_be_bytes());
    body.extend(server.port().to_be_bytes());
    body.extend(tlvs.iter().take(1024));
    let family = if client.is_ipv4() { 0x11 } else { 0x21 };
    let mut header = SIGNATURE_V2.to_vec();
    header.extend([0x21, family]);
    header.extend((body.len() as u16).to_be_bytes());
    header.extend(body);
    header
}

fn v4(source: &mut Unstructured<'_>) -> arbitrary::Result<SocketAddr> {
    Ok((source.arbitrary::<[u8; 4]>()?, source.arbitrary()?).into())
}

fn v6(source: &mut Unstructured<'_>) -> arbitrary::Result<SocketAddr> {
    Ok((source.arbitrary::<[u8; 16]>()?, source.arbitrary()?).into())
}

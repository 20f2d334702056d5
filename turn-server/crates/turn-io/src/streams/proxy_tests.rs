//! Headers of the PROXY protocol as they are, and what is none. Any bytes at all: the fuzz target `proxy`.

use super::proxy::{Header, LONGEST, Malformed, SIGNATURE_V2, parse};

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE_V2.to_vec();
    bytes.extend([command, family]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xC3, 0x50, 0x0D, 0x96];

fn client(bytes: &[u8]) -> Option<String> {
    match parse(bytes) {
        Ok(Header::Whole { length, client }) => {
            assert_eq!(length, bytes.len());
            client.map(|client| client.to_string())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_versions_name_the_client() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 3478\r\n";
    assert_eq!(client(line).as_deref(), Some("192.0.2.7:50000"));
    let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n";
    assert_eq!(client(line).as_deref(), Some("[2001:db8::7]:50000"));
    assert_eq!(
        client(&v2(0x21, 0x11, &V4)).as_deref(),
        Some("192.0.2.7:50000")
    );
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(
        &"2001:db8::7"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    v6[32..].copy_from_slice(&[0xC3, 0x50, 1, 187]);
    assert_eq!(
        client(&v2(0x21, 0x21, &v6)).as_deref(),
        Some("[2001:db8::7]:50000")
    );
}

#[test]
fn ipv4_inside_ipv6_is_ipv4() {
    let line = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 5 6\r\n";
    assert_eq!(client(line).as_deref(), Some("192.0.2.7:5"));
}

#[test]
fn tlvs_are_passed_over() {
    let mut body = V4.to_vec();
    body.extend([0x02, 0, 3, b'a', b'b', b'c', 0xE0, 0, 0]);
    assert_eq!(
        client(&v2(0x21, 0x11, &body)).as_deref(),
        Some("192.0.2.7:50000")
    );
}

#[test]
fn local_and_unspecified_connections_are_the_proxy_s_own() {
    for bytes in [
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &V4),
        v2(0x21, 0x00, &[1, 2, 3]),
        v2(0x21, 0x12, &V4),
        v2(0x21, 0x31, &[0; 216]),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff:f... 65535 anything\r\n".to_vec(),
    ] {
        assert_eq!(client(&bytes), None);
    }
}

#[test]
fn every_beginning_of_a_header_is_incomplete_and_what_follows_is_left_alone() {
    let headers = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 3478\r\n".to_vec(),
        v2(0x21, 0x11, &V4),
    ];
    for header in headers {
        for length in 0..header.len() {
            assert_eq!(parse(&header[..length]), Ok(Header::Incomplete), "{length}");
        }
        let whole = parse(&header).unwrap();
        let more = [&header[..], b"\x16\x03\x01"].concat();
        assert_eq!(parse(&more), Ok(whole));
    }
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_that_is_clear() {
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat();
    for bytes in [
        b"G".as_slice(),
        b"\x16",
        b"\0\x01",
        b"PROXx",
        b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
        b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY \xFF\r\n",
        &long,
        &v2(0x11, 0x11, &V4),
        &v2(0x22, 0x11, &V4),
        &v2(0x21, 0x41, &V4),
        &v2(0x21, 0x13, &V4),
        &v2(0x21, 0x11, &V4[..11]),
        &v2(0x21, 0x21, &V4),
        &v2(0x21, 0x11, &[0; LONGEST - 15]),
    ] {
        assert_eq!(parse(bytes), Err(Malformed), "{bytes:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_claim_more_than_there_is(
        signature in proptest::bool::ANY,
        tail in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
    ) {
        let bytes = if signature { [SIGNATURE_V2, &tail].concat() } else { [b"PROXY ", &tail[..]].concat() };
        if let Ok(Header::Whole { length, .. }) = parse(&bytes) {
            assert!(length <= bytes.len());
        }
    }
}

//! Every kind of message, byte for byte.

use crate::support::{ID, addr, hex, unhex};
use turn_wire::{
    Family, HEADROOM, IntegrityKey, Method, RequestBuilder, Responder, TAILROOM,
    write_channel_data, write_data_indication, write_send_indication,
};

const V4: &str = "192.0.2.1:49152";
const V6: &str = "[2001:db8::1]:49152";
const UDP: u8 = 17;

/// The closing attributes of each message below were computed with another implementation, Python's `hmac` and `zlib`, e.g.
/// `hmac.new(b"swordfish", message_with_adjusted_length, "sha1")` and `zlib.crc32(message_with_adjusted_length) ^ 0x5354554e`.
fn key() -> IntegrityKey {
    IntegrityKey::new(b"swordfish")
}

#[track_caller]
fn assert_bytes(actual: &[u8], expected: &str) {
    assert_eq!(hex(actual), hex(&unhex(expected)));
}

#[test]
fn binding_request() {
    assert_bytes(
        &RequestBuilder::new(Method::BINDING, ID).finish(None, false),
        "0001 0000 COMMON",
    );
}

#[test]
fn binding_request_with_fingerprint() {
    let bytes = RequestBuilder::new(Method::BINDING, ID).finish(None, true);
    assert_bytes(&bytes, "0001 0008 COMMON  8028 0004 b15d2593");
}

#[test]
fn binding_success_over_ipv4_and_for_old_clients() {
    let mut responder = Responder::new();
    let answer = responder
        .success(Method::BINDING, ID)
        .xor_mapped_address(addr(V4))
        .mapped_address(addr(V4));
    assert_bytes(
        answer.finish(None, false),
        "0101 0018 COMMON  0020 0008 0001 e112 e112a643  0001 0008 0001 c000 c0000201",
    );
}

#[test]
fn binding_success_over_ipv6() {
    let mut responder = Responder::new();
    let answer = responder
        .success(Method::BINDING, ID)
        .xor_mapped_address(addr(V6))
        .mapped_address(addr(V6));
    assert_bytes(
        answer.finish(None, false),
        "0101 0030 COMMON
         0020 0014 0002 e112 0113a9fa 7475726e70696b652d74786f
         0001 0014 0002 c000 20010db8 000000000000000000000001",
    );
}

#[test]
fn allocate_request_without_credentials() {
    let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
        .requested_transport(UDP)
        .finish(None, false);
    assert_bytes(&bytes, "0003 0008 COMMON  0019 0004 11 000000");
}

#[test]
fn allocate_challenge() {
    let mut responder = Responder::new();
    let answer = responder
        .error(Method::ALLOCATE, ID, 401, "")
        .realm("turnpike")
        .nonce(b"0123456789abcdef");
    assert_bytes(
        answer.finish(None, false),
        "0113 0028 COMMON
         0009 0004 0000 04 01
         0014 0008 7475726e70696b65
         0015 0010 30313233343536373839616263646566",
    );
}

#[test]
fn data_indication_about_an_icmp_error() {
    let mut responder = Responder::new();
    let answer = responder
        .indication(Method::DATA, ID)
        .xor_peer_address(addr(V4))
        .icmp(3, 4, 1400);
    // Seven bits of type and nine of code: 0000011 000000100.
    assert_bytes(
        answer.finish(None, false),
        "0017 0018 COMMON
         0012 0008 0001 e112 e112a643
         8004 0008 0000 0604 00000578",
    );
}

#[test]
fn dual_allocation_of_which_half_is_lacking() {
    let mut responder = Responder::new();
    let answer = responder
        .success(Method::ALLOCATE, ID)
        .xor_relayed_address(addr(V4))
        .address_error_code(Family::V6, 440);
    assert_bytes(
        answer.finish(None, false),
        "0103 001c COMMON
         0016 0008 0001 e112 e112a643
         8001 0004 02 00 04 28
         8033 0004 02 00 04 28",
    );
}

#[test]
fn allocate_request_with_every_option_and_credentials() {
    let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
        .requested_transport(UDP)
        .lifetime(3600)
        .requested_family(Family::V6)
        .additional_family(Family::V4)
        .even_port(true)
        .reservation_token(*b"reserved")
        .dont_fragment()
        .username("alice")
        .realm("turnpike")
        .nonce(b"0123456789abcdef")
        .finish(Some(&key()), true);
    assert_bytes(
        &bytes,
        "0003 0084 COMMON
         0019 0004 11 000000
         000d 0004 00000e10
         0017 0004 02 000000
         8000 0004 01 000000
         0018 0001 80 000000
         0022 0008 7265736572766564
         001a 0000
         0006 0005 616c696365 000000
         0014 0008 7475726e70696b65
         0015 0010 30313233343536373839616263646566
         0008 0014 d9231e381b5c215273176ab2c7375f550def79b5
         8028 0004 93010bbb",
    );
}

#[test]
fn allocate_success() {
    let mut responder = Responder::new();
    let answer = responder
        .success(Method::ALLOCATE, ID)
        .xor_relayed_address(addr(V4))
        .lifetime(600)
        .reservation_token(*b"reserved")
        .xor_mapped_address(addr(V6))
        .software("t");
    assert_bytes(
        answer.finish(Some(&key()), false),
        "0103 0058 COMMON
         0016 0008 0001 e112 e112a643
         000d 0004 00000258
         0022 0008 7265736572766564
         0020 0014 0002 e112 0113a9fa 7475726e70696b652d74786f
         8022 0001 74 000000
         0008 0014 2b62e6fbe1e3ee1a2d0e4b685e159cb13a6a3060",
    );
}

#[test]
fn stale_nonce_with_a_reason() {
    let mut responder = Responder::new();
    let answer = responder
        .error(Method::REFRESH, ID, 438, "Stale Nonce")
        .nonce(b"0123456789abcdef")
        .realm("turnpike");
    assert_bytes(
        answer.finish(None, false),
        "0114 0034 COMMON
         0009 000f 0000 04 26 5374616c65204e6f6e6365 00
         0015 0010 30313233343536373839616263646566
         0014 0008 7475726e70696b65",
    );
}

#[test]
fn unknown_attributes() {
    let mut responder = Responder::new();
    let answer = responder
        .error(Method::ALLOCATE, ID, 420, "")
        .unknown_attributes(&[0x001A, 0x0024, 0x7FFF]);
    assert_bytes(
        answer.finish(None, false),
        "0113 0014 COMMON  0009 0004 0000 04 14  000a 0006 001a 0024 7fff 0000",
    );
}

#[test]
fn refresh_request_that_ends_an_allocation() {
    let bytes = RequestBuilder::new(Method::REFRESH, ID)
        .lifetime(0)
        .finish(Some(&key()), false);
    assert_bytes(
        &bytes,
        "0004 0020 COMMON  000d 0004 00000000  0008 0014 ac6af6371cdc6eb24b4e98f92502fe1d90a7d1a7",
    );
}

#[test]
fn create_permission_request_for_two_peers() {
    let builder = RequestBuilder::new(Method::CREATE_PERMISSION, ID);
    let bytes = builder
        .xor_peer_address(addr(V4))
        .xor_peer_address(addr(V6))
        .finish(None, false);
    assert_bytes(
        &bytes,
        "0008 0024 COMMON
         0012 0008 0001 e112 e112a643
         0012 0014 0002 e112 0113a9fa 7475726e70696b652d74786f",
    );
}

#[test]
fn channel_bind_request_and_its_success() {
    let builder = RequestBuilder::new(Method::CHANNEL_BIND, ID);
    let bytes = builder
        .channel_number(0x4001)
        .xor_peer_address(addr(V4))
        .finish(None, false);
    assert_bytes(
        &bytes,
        "0009 0014 COMMON  000c 0004 4001 0000  0012 0008 0001 e112 e112a643",
    );
    let mut responder = Responder::new();
    assert_bytes(
        responder
            .success(Method::CHANNEL_BIND, ID)
            .finish(None, false),
        "0109 0000 COMMON",
    );
}

#[test]
fn send_indication_built_and_in_place() {
    let expected = "0016 0014 COMMON  0012 0008 0001 e112 e112a643  0013 0002 6869 0000";
    let builder = RequestBuilder::indication(Method::SEND, ID);
    assert_bytes(
        &builder
            .xor_peer_address(addr(V4))
            .data(b"hi")
            .finish(None, false),
        expected,
    );
    let (mut buf, payload) = buffer(b"hi");
    let range = write_send_indication(&mut buf, payload, addr(V4), ID).expect("room");
    assert_bytes(&buf[range], expected);
}

#[test]
fn data_indication_from_ipv4_and_ipv6() {
    let (mut buf, payload) = buffer(b"hello");
    let range = write_data_indication(&mut buf, payload, addr(V4), ID).expect("room");
    assert_bytes(
        &buf[range],
        "0017 0018 COMMON  0012 0008 0001 e112 e112a643  0013 0005 68656c6c6f 000000",
    );
    let (mut buf, payload) = buffer(b"");
    let range = write_data_indication(&mut buf, payload, addr(V6), ID).expect("room");
    assert_bytes(
        &buf[range],
        "0017 001c COMMON  0012 0014 0002 e112 0113a9fa 7475726e70696b652d74786f  0013 0000",
    );
}

#[test]
fn channel_data_for_datagrams_and_for_streams() {
    let (mut buf, payload) = buffer(b"hello");
    let range = write_channel_data(&mut buf, payload, 0x4ABC, false).expect("room");
    assert_bytes(&buf[range], "4abc 0005 68656c6c6f");
    let (mut buf, payload) = buffer(b"hello");
    let range = write_channel_data(&mut buf, payload, 0x4ABC, true).expect("room");
    assert_bytes(&buf[range], "4abc 0005 68656c6c6f 000000");
}

/// A payload between headroom and tailroom that hold the rubbish of a former packet.
fn buffer(payload: &[u8]) -> (Vec<u8>, std::ops::Range<usize>) {
    let buf = [&[0xEE; HEADROOM], payload, &[0xEE; TAILROOM]].concat();
    (buf, HEADROOM..HEADROOM + payload.len())
}

#[test]
fn connection_attempt_tells_peer_and_connection() {
    let mut responder = Responder::new();
    let indication = responder
        .indication(Method::CONNECTION_ATTEMPT, ID)
        .xor_peer_address(addr(V4))
        .connection_id(0x0A0B_0C0D);
    assert_bytes(
        indication.finish(None, false),
        "001c 0014 COMMON  0012 0008 0001 e112 e112a643  002a 0004 0a0b0c0d",
    );
}

#[test]
fn connection_bind_and_ticket() {
    let bytes = RequestBuilder::new(Method::CONNECTION_BIND, ID)
        .connection_id(7)
        .finish(None, false);
    assert_bytes(&bytes, "000b 0008 COMMON  002a 0004 00000007");
    let bytes = RequestBuilder::new(Method::REFRESH, ID)
        .mobility_ticket(b"abc")
        .finish(None, false);
    assert_bytes(&bytes, "0004 0008 COMMON  8030 0003 61626300");
    let mut responder = Responder::new();
    let answer = responder
        .success(Method::REFRESH, ID)
        .mobility_ticket(b"abcd");
    assert_bytes(
        answer.finish(None, false),
        "0104 0008 COMMON  8030 0004 61626364",
    );
}

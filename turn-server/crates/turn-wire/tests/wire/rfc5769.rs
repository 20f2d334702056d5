//! The test vectors of RFC 5769, read, verified and written back.

use crate::support::{addr, hex, unhex, view};
use turn_wire::{
    Class, Fingerprint, IntegrityKey, Method, RequestBuilder, Responder, TransactionId, attr,
};

const SHORT_TERM_PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

/// §2.1: a Binding request with short-term credentials.
const REQUEST: &str = "
    00010058 2112a442 b7e7a701bc34d686fa87dfae
    80220010 5354554e207465737420636c69656e74
    00240004 6e0001ff
    80290008 932ff9b151263b36
    00060009 6576746a3a68367659 202020
    00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
    80280004 e57a3bcf";

/// §2.2: its response over IPv4.
const RESPONSE_V4: &str = "
    0101003c 2112a442 b7e7a701bc34d686fa87dfae
    8022000b 7465737420766563746f72 20
    00200008 0001a147e112a643
    00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
    80280004 c07d4c96";

/// §2.3: its response over IPv6.
const RESPONSE_V6: &str = "
    01010048 2112a442 b7e7a701bc34d686fa87dfae
    8022000b 7465737420766563746f72 20
    00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
    00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
    80280004 c8fb0b4c";

/// §2.4: a Binding request with long-term credentials, the username prepared by SASLprep.
const LONG_TERM: &str = "
    00010060 2112a442 78ad3433c6ad72c029da412e
    00060012 e3839ee38388e383aae38383e382afe382b9 0000
    0015001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41
    0014000b 6578616d706c652e6f7267 00
    00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666";

const ID: TransactionId = [
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
];

#[test]
fn short_term_request_verifies_and_reads_as_printed() {
    let bytes = unhex(REQUEST);
    let view = view(&bytes);
    assert_eq!(
        (view.method(), view.class(), view.transaction_id()),
        (Method::BINDING, Class::Request, ID)
    );
    assert_eq!(view.username(), Some("evtj:h6vY"));
    assert_eq!(
        view.attribute(attr::SOFTWARE),
        Some(b"STUN test client".as_slice())
    );
    assert_eq!(view.fingerprint(), Fingerprint::Right);
    assert!(view.verify(&IntegrityKey::new(SHORT_TERM_PASSWORD)));
    assert!(!view.verify(&IntegrityKey::new(b"VOkJxbRl1RmTxUk/WvJxBT")));
}

#[test]
fn priority_of_the_request_is_required_and_not_understood() {
    let bytes = unhex(REQUEST);
    // ICE-CONTROLLED, 0x8029, is optional.
    assert_eq!(
        view(&bytes).unknown_required().collect::<Vec<_>>(),
        [0x0024]
    );
}

#[test]
fn short_term_request_is_verified_with_padding_as_it_came() {
    // Its padding is spaces; a parser that zeroes padding before the HMAC fails here.
    let mut bytes = unhex(REQUEST);
    let padding = bytes.len() - 8 - 24 - 3;
    assert_eq!(bytes[padding..padding + 3], *b"   ");
    bytes[padding] = 0;
    assert!(!view(&bytes).verify(&IntegrityKey::new(SHORT_TERM_PASSWORD)));
}

#[test]
fn ipv4_response_verifies_and_uncovers_its_address() {
    let bytes = unhex(RESPONSE_V4);
    let view = view(&bytes);
    assert_eq!(
        (view.method(), view.class()),
        (Method::BINDING, Class::Success)
    );
    assert_eq!(
        view.xor_address(attr::XOR_MAPPED_ADDRESS),
        Some(addr("192.0.2.1:32853"))
    );
    assert_eq!(
        view.attribute(attr::SOFTWARE),
        Some(b"test vector".as_slice())
    );
    assert_eq!(view.fingerprint(), Fingerprint::Right);
    assert!(view.verify(&IntegrityKey::new(SHORT_TERM_PASSWORD)));
}

#[test]
fn ipv6_response_verifies_and_uncovers_its_address() {
    let bytes = unhex(RESPONSE_V6);
    let view = view(&bytes);
    let expected = addr("[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    assert_eq!(view.xor_address(attr::XOR_MAPPED_ADDRESS), Some(expected));
    assert_eq!(view.fingerprint(), Fingerprint::Right);
    assert!(view.verify(&IntegrityKey::new(SHORT_TERM_PASSWORD)));
}

#[test]
fn long_term_request_verifies_with_the_prepared_credentials() {
    let bytes = unhex(LONG_TERM);
    let view = view(&bytes);
    let username = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
    assert_eq!(view.username(), Some(username));
    assert_eq!(view.realm(), Some("example.org"));
    assert_eq!(
        view.nonce(),
        Some(b"f//499k954d6OL34oL9FSTvy64sA".as_slice())
    );
    assert_eq!(view.fingerprint(), Fingerprint::Absent);
    assert!(view.verify(&long_term_key(username, "example.org", "TheMatrIX")));
    assert!(!view.verify(&long_term_key(username, "example.org", "TheMatrix")));
}

#[test]
fn responses_are_written_byte_for_byte_but_for_the_padding() {
    let key = IntegrityKey::new(SHORT_TERM_PASSWORD);
    for (vector, address) in [
        (RESPONSE_V4, "192.0.2.1:32853"),
        (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let mut responder = Responder::new();
        let answer = responder
            .success(Method::BINDING, ID)
            .software("test vector")
            .xor_mapped_address(addr(address));
        let ours = answer.finish(Some(&key), true);
        // Padding is zero here and a space there, and both closing attributes cover it.
        let theirs = unhex(vector);
        let covered = theirs.len() - 24 - 8;
        let mut expected = theirs[..covered].to_vec();
        expected[20 + 4 + 11] = 0;
        assert_eq!(hex(&ours[..covered]), hex(&expected));
        assert!(view(ours).verify(&key));
        assert_eq!(view(ours).fingerprint(), Fingerprint::Right);
    }
}

#[test]
fn long_term_request_is_written_byte_for_byte() {
    let bytes = unhex(LONG_TERM);
    let theirs = view(&bytes);
    let username = theirs.username().expect("a username");
    let ours = RequestBuilder::new(Method::BINDING, theirs.transaction_id())
        .username(username)
        .nonce(b"f//499k954d6OL34oL9FSTvy64sA")
        .realm("example.org")
        .finish(
            Some(&long_term_key(username, "example.org", "TheMatrIX")),
            false,
        );
    assert_eq!(hex(&ours), hex(&bytes));
}

fn long_term_key(username: &str, realm: &str, password: &str) -> IntegrityKey {
    let owned = (username.to_owned(), realm.to_owned(), password.to_owned());
    let key = stun::integrity::MessageIntegrity::new_long_term_integrity(owned.0, owned.1, owned.2);
    IntegrityKey::new(&key.0)
}

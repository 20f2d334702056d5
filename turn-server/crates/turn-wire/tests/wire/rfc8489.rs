//! The test vector of RFC 8489, and the attributes that RFC 8489 and RFC 7635 add, to the byte.

use crate::support::{ID, addr, hex, unhex, view};
use turn_wire::{
    Class, Integrity, IntegrityKey, Method, PasswordAlgorithm, RequestBuilder, Responder,
    TransactionId, attr,
};

/// Appendix B.1, as its erratum corrects it: a Binding request with USERHASH, PASSWORD-ALGORITHM and MESSAGE-INTEGRITY-SHA256.
/// The hash at the end is the one that Python's `hmac` gives for the bytes before it.
const REQUEST: &str = "
    00010090 2112a442 78ad3433c6ad72c029da412e
    001e0020 4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
    00150029 6f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473 41 000000
    0014000b 6578616d706c652e6f7267 00
    001d0004 00020000
    001c0020 b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";

const VECTOR_ID: TransactionId = [
    0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e,
];

/// printf 'マトリックス:example.org:TheMatrIX' | sha256sum
const KEY: &str = "dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1";

fn key() -> IntegrityKey {
    IntegrityKey::of(Integrity::Sha256, &unhex(KEY))
}

#[test]
fn appendix_b_1_verifies_and_reads_as_printed() {
    let bytes = unhex(REQUEST);
    let view = view(&bytes);
    assert_eq!(view.integrity(), Some(Integrity::Sha256));
    assert!(view.verify(&key()));
    assert_eq!(
        hex(view.userhash().unwrap()),
        "4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
    );
    assert_eq!(view.username(), None);
    assert_eq!(view.realm(), Some("example.org"));
    let algorithm = view.attribute(attr::PASSWORD_ALGORITHM).unwrap();
    assert_eq!(
        PasswordAlgorithm::from_value(algorithm),
        Some(PasswordAlgorithm::Sha256)
    );
    assert_eq!(view.unknown_required().count(), 0);
}

#[test]
fn appendix_b_1_is_written_to_the_byte() {
    let bytes = unhex(REQUEST);
    let view = view(&bytes);
    let ours = RequestBuilder::new(Method::BINDING, VECTOR_ID)
        .userhash(view.userhash().unwrap())
        .nonce(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
        .realm("example.org")
        .password_algorithm(PasswordAlgorithm::Sha256)
        .finish(Some(&key()), false);
    assert_eq!(hex(&ours), hex(&bytes));
}

#[test]
fn every_bit_before_it_is_covered_by_sha256_integrity() {
    let bytes = unhex(REQUEST);
    for bit in 0..(bytes.len() - 36) * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(turn_wire::Packet::Stun(view)) = turn_wire::parse(&changed) {
            assert!(!view.verify(&key()), "bit {bit}");
        }
    }
}

#[test]
fn algorithms_are_the_registered_numbers_without_parameters() {
    // RFC 8489 §18.5: 0x0001 is MD5, 0x0002 is SHA-256; neither has parameters.
    let read = |text| PasswordAlgorithm::from_value(&unhex(text));
    assert_eq!(read("00010000"), Some(PasswordAlgorithm::Md5));
    assert_eq!(read("00020000"), Some(PasswordAlgorithm::Sha256));
    for other in [
        "",
        "0001",
        "000100",
        "00000000",
        "00030000",
        "00010004",
        "0001000400000000",
        "0001000000000000",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}

#[test]
fn userhash_of_another_length_is_none() {
    for length in [0, 16, 31, 33, 64] {
        let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(attr::USERHASH, &vec![1; length])
            .finish(None, false);
        assert_eq!(view(&bytes).userhash(), None, "{length}");
    }
}

#[test]
fn challenge_lists_algorithms_and_names_the_token_server() {
    let mut responder = Responder::new();
    let bytes = responder
        .error(Method::ALLOCATE, ID, 401, "")
        .password_algorithms(&[0, 2, 0, 0, 0, 1, 0, 0])
        .third_party_authorization("turn.example")
        .finish(None, false);
    assert_eq!(
        hex(bytes),
        hex(&unhex(
            "0113 0024 COMMON 00090004 00000401 80020008 00020000 00010000 802e000c 7475726e2e6578616d706c65"
        ))
    );
}

#[test]
fn redirection_names_an_address_and_a_domain() {
    let mut responder = Responder::new();
    let bytes = responder
        .error(Method::ALLOCATE, ID, 300, "")
        .alternate_server(addr("192.0.2.7:3478"))
        .alternate_domain("turn7.example")
        .finish(None, false);
    assert_eq!(
        hex(bytes),
        hex(&unhex(
            "0113 0028 COMMON 00090004 00000300 80230008 00010d96 c0000207 8003000d 7475726e372e6578616d706c65 000000"
        ))
    );
    let bytes = responder
        .error(Method::ALLOCATE, ID, 300, "")
        .alternate_server(addr("[2001:db8::7]:5349"))
        .finish(None, false);
    assert_eq!(
        hex(bytes),
        hex(&unhex(
            "0113 0020 COMMON 00090004 00000300 80230014 000214e5 20010db8000000000000000000000007"
        ))
    );
    assert_eq!(view(bytes).class(), Class::Error);
}

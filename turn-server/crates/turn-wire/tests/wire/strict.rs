//! The frame around attributes: what is refused, and what is not obeyed. Each test has a message that a careless parser would take.

use crate::support::{ID, unhex, view};
use turn_wire::{
    Fingerprint, Integrity, IntegrityKey, Method, Packet, ParseError, Request, RequestBuilder,
    Responder, attr, parse,
};

fn error(hex: &str) -> Option<ParseError> {
    parse(&unhex(hex)).err()
}

fn key() -> IntegrityKey {
    IntegrityKey::new(b"swordfish")
}

/// Appends attributes to a finished message and corrects the length, as anybody on the path can.
fn append(message: &[u8], hex: &str) -> Vec<u8> {
    let mut bytes = [message, &unhex(hex)].concat();
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

#[test]
fn nothing_and_a_cut_header_are_too_short() {
    assert_eq!(error(""), Some(ParseError::TooShort));
    assert_eq!(error("00"), Some(ParseError::TooShort));
    assert_eq!(
        error("0001 0000 2112a442 7475726e70696b652d7478"),
        Some(ParseError::TooShort)
    );
    assert_eq!(error("4000 00"), Some(ParseError::TooShort));
}

#[test]
fn first_bits_of_other_protocols_are_foreign() {
    assert_eq!(error("8001 0000 COMMON"), Some(ParseError::Foreign));
    assert_eq!(error("c001 0000 COMMON"), Some(ParseError::Foreign));
}

#[test]
fn another_cookie_is_refused() {
    assert_eq!(
        error("0001 0000 2112a443 7475726e70696b652d74786e"),
        Some(ParseError::Cookie)
    );
}

#[test]
fn length_must_be_in_fours_and_exactly_the_datagram() {
    assert_eq!(error("0001 0002 COMMON 0000"), Some(ParseError::Length));
    assert_eq!(error("0001 0004 COMMON"), Some(ParseError::Length));
    assert_eq!(error("0001 0000 COMMON 80220000"), Some(ParseError::Length));
}

#[test]
fn attribute_longer_than_the_message_is_refused() {
    assert_eq!(
        error("0001 0004 COMMON 80220001"),
        Some(ParseError::Overrun)
    );
    assert_eq!(
        error("0001 0008 COMMON 80220005 00000000"),
        Some(ParseError::Overrun)
    );
    assert_eq!(
        error("0001 0008 COMMON 8022ffff 00000000"),
        Some(ParseError::Overrun)
    );
    assert_eq!(error("0001 0008 COMMON 80220004 00000000"), None);
}

#[test]
fn attribute_that_overruns_behind_integrity_is_refused_too() {
    let signed = RequestBuilder::new(Method::REFRESH, ID).finish(Some(&key()), false);
    assert_eq!(
        parse(&append(&signed, "80220005 00000000")).err(),
        Some(ParseError::Overrun)
    );
}

#[test]
fn fingerprint_must_be_last() {
    let sealed = RequestBuilder::new(Method::BINDING, ID).finish(None, true);
    assert_eq!(
        parse(&append(&sealed, "80220000")).err(),
        Some(ParseError::FingerprintNotLast)
    );
    assert_eq!(
        parse(&append(&sealed, "80280004 00000000")).err(),
        Some(ParseError::FingerprintNotLast)
    );
}

#[test]
fn fingerprint_of_another_length_is_wrong() {
    for hex in ["80280000", "80280003 00000000", "80280005 0000000000000000"] {
        let bytes = append(
            &RequestBuilder::new(Method::BINDING, ID).finish(None, false),
            hex,
        );
        assert_eq!(view(&bytes).fingerprint(), Fingerprint::Wrong, "{hex}");
    }
}

#[test]
fn fingerprint_covers_every_bit_of_the_message() {
    let sealed = RequestBuilder::new(Method::BINDING, ID)
        .software("turnpike")
        .finish(None, true);
    assert_eq!(view(&sealed).fingerprint(), Fingerprint::Right);
    let fields = [0..2, 8..20, 24..32, sealed.len() - 4..sealed.len()];
    for (at, bit) in fields
        .into_iter()
        .flatten()
        .flat_map(|at| (0..8).map(move |bit| (at, bit)))
    {
        let mut changed = sealed.clone();
        changed[at] ^= 1 << bit;
        if let Ok(Packet::Stun(view)) = parse(&changed) {
            assert_eq!(
                view.fingerprint(),
                Fingerprint::Wrong,
                "byte {at} bit {bit}"
            );
        }
    }
}

#[test]
fn attributes_behind_integrity_are_not_obeyed() {
    let signed = RequestBuilder::new(Method::REFRESH, ID)
        .username("alice")
        .lifetime(600)
        .finish(Some(&key()), false);
    let with_more = append(
        &signed,
        "000d0004 00000000 00190004 11000000 0012000400000000",
    );
    let view = view(&with_more);
    assert!(view.verify(&key()));
    assert_eq!(view.attribute(attr::REQUESTED_TRANSPORT), None);
    let request = Request::decode(&view).unwrap();
    assert_eq!(request.lifetime(), Ok(Some(600)));
    assert_eq!(request.requested_transport(), Ok(None));
    assert_eq!(request.peers(), Ok(vec![]));
}

#[test]
fn lifetime_behind_integrity_does_not_stand_in_for_a_missing_one() {
    let signed = RequestBuilder::new(Method::REFRESH, ID).finish(Some(&key()), false);
    let with_lifetime = append(&signed, "000d0004 00000000");
    assert_eq!(
        Request::decode(&view(&with_lifetime)).unwrap().lifetime(),
        Ok(None)
    );
}

#[test]
fn unknown_attributes_behind_integrity_are_no_reason_for_420() {
    let signed = RequestBuilder::new(Method::REFRESH, ID).finish(Some(&key()), false);
    let with_unknown = append(&signed, "7fff0000");
    assert_eq!(view(&with_unknown).unknown_required().count(), 0);
}

#[test]
fn closing_attributes_are_seen_in_their_order_and_only_once() {
    let signed = RequestBuilder::new(Method::REFRESH, ID)
        .lifetime(1)
        .finish(Some(&key()), false);
    let sha256 = format!("001c0020 {}", "11".repeat(32));
    let extra = format!("000d0004 00000000 {sha256} 00060000 {sha256} 00080000 80280004 00000000");
    let bytes = append(&signed, &extra);
    let kinds: Vec<u16> = view(&bytes)
        .attributes()
        .map(|attribute| attribute.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            attr::LIFETIME,
            attr::MESSAGE_INTEGRITY,
            attr::MESSAGE_INTEGRITY_SHA256,
            attr::FINGERPRINT
        ]
    );
    assert!(view(&bytes).verify(&key()));
}

#[test]
fn of_both_integrities_the_stronger_one_proves_a_message() {
    // RFC 8489 §9.2.4: MESSAGE-INTEGRITY-SHA256 if it is there, otherwise MESSAGE-INTEGRITY.
    let strong = IntegrityKey::of(Integrity::Sha256, b"swordfish");
    let request = || RequestBuilder::new(Method::REFRESH, ID).lifetime(1);
    let weak = request().finish(Some(&key()), false);
    assert_eq!(view(&weak).integrity(), Some(Integrity::Sha1));
    let both = request().sign(&key()).finish(Some(&strong), true);
    assert_eq!(view(&both).integrity(), Some(Integrity::Sha256));
    assert!(view(&both).verify(&strong) && view(&both).verify(&key()));
    assert_eq!(view(&both).fingerprint(), Fingerprint::Right);
    let forged = append(&weak, &format!("001c0020 {}", "11".repeat(32)));
    assert_eq!(view(&forged).integrity(), Some(Integrity::Sha256));
    assert!(!view(&forged).verify(&strong) && view(&forged).verify(&key()));
    assert_eq!(view(&forged).unknown_required().count(), 0);
}

#[test]
fn integrity_behind_its_sha256_kin_does_not_count() {
    // RFC 8489 §14.6: after MESSAGE-INTEGRITY-SHA256 only FINGERPRINT counts.
    let strong = IntegrityKey::of(Integrity::Sha256, b"swordfish");
    let bare = RequestBuilder::new(Method::REFRESH, ID).sign(&strong);
    let bytes = bare.lifetime(0).finish(Some(&key()), false);
    let view = view(&bytes);
    assert!(view.verify(&strong) && !view.verify(&key()));
    assert!(!view.has_sha1_integrity());
    assert_eq!(Request::decode(&view).unwrap().lifetime(), Ok(None));
}

#[test]
fn sha256_integrity_that_is_not_whole_is_none() {
    // RFC 8489 §14.6: 16 to 32 bytes in fours where a usage allows it, and no part at all where none says so, as in TURN.
    let strong = IntegrityKey::of(Integrity::Sha256, b"swordfish");
    let whole = RequestBuilder::new(Method::REFRESH, ID).finish(Some(&strong), false);
    for length in [0_usize, 4, 15, 16, 20, 28, 31, 33, 36] {
        let mut tag = whole[24..].to_vec();
        tag.resize(length, 0);
        let bytes = RequestBuilder::new(Method::REFRESH, ID)
            .attribute(attr::MESSAGE_INTEGRITY_SHA256, &tag)
            .finish(Some(&key()), false);
        assert!(!view(&bytes).has_integrity(), "{length}");
        assert!(!view(&bytes).verify(&strong), "{length}");
    }
    assert!(view(&whole).has_integrity());
}

#[test]
fn integrity_of_another_length_is_none_and_verifies_never() {
    for length in [0, 4, 19, 21, 32] {
        let bytes = RequestBuilder::new(Method::REFRESH, ID)
            .attribute(attr::MESSAGE_INTEGRITY, &vec![0; length])
            .finish(None, false);
        assert!(!view(&bytes).has_integrity(), "{length}");
        assert!(!view(&bytes).verify(&key()), "{length}");
    }
}

#[test]
fn a_second_integrity_does_not_replace_the_first() {
    let forged = RequestBuilder::new(Method::REFRESH, ID)
        .lifetime(0)
        .attribute(attr::MESSAGE_INTEGRITY, &[0; 20]);
    let bytes = forged.finish(Some(&key()), false);
    assert!(view(&bytes).has_integrity());
    assert!(!view(&bytes).verify(&key()));
    let strong = IntegrityKey::of(Integrity::Sha256, b"swordfish");
    let forged = RequestBuilder::new(Method::REFRESH, ID)
        .lifetime(0)
        .attribute(attr::MESSAGE_INTEGRITY_SHA256, &[0; 32]);
    let bytes = forged.finish(Some(&strong), false);
    assert_eq!(view(&bytes).integrity(), Some(Integrity::Sha256));
    assert!(!view(&bytes).verify(&strong));
}

#[test]
fn integrity_covers_every_bit_before_it() {
    let signed = RequestBuilder::new(Method::REFRESH, ID)
        .username("alice")
        .lifetime(600)
        .finish(Some(&key()), true);
    let end = signed.len() - 8;
    for (at, bit) in (0..end).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = signed.clone();
        changed[at] ^= 1 << bit;
        if let Ok(Packet::Stun(view)) = parse(&changed) {
            assert!(!view.verify(&key()), "byte {at} bit {bit}");
        }
    }
    assert!(view(&signed).verify(&key()));
}

#[test]
fn fingerprint_may_be_added_or_dropped_without_harm_to_integrity() {
    let builder = || RequestBuilder::new(Method::REFRESH, ID).lifetime(600);
    let without = builder().finish(Some(&key()), false);
    let with = builder().finish(Some(&key()), true);
    assert_eq!(with[20..without.len()], without[20..]);
    assert!(view(&with).verify(&key()) && view(&without).verify(&key()));
}

#[test]
fn answers_that_would_burst_their_length_field_leave_attributes_out() {
    let mut responder = Responder::new();
    let huge = "r".repeat(70_000);
    let large = vec![b'n'; 65_000];
    let answer = responder
        .error(Method::ALLOCATE, ID, 401, &huge)
        .realm(&huge)
        .nonce(&large)
        .software(&"s".repeat(600));
    let bytes = answer.lifetime(1).finish(Some(&key()), true);
    let view = view(bytes);
    assert_eq!(view.attribute(attr::REALM), None);
    assert_eq!(view.attribute(attr::NONCE).map(<[u8]>::len), Some(65_000));
    assert_eq!(view.attribute(attr::SOFTWARE), None);
    assert!(view.verify(&key()));
    assert_eq!(view.fingerprint(), Fingerprint::Right);
}

#[test]
fn one_answer_leaves_nothing_in_the_next() {
    let mut responder = Responder::new();
    let long = responder
        .error(Method::ALLOCATE, ID, 401, "Unauthorized")
        .realm("a realm of some length")
        .nonce(b"nonce");
    assert!(long.finish(Some(&key()), true).len() > 100);
    let fresh = Responder::new()
        .success(Method::BINDING, [7; 12])
        .software("abc")
        .finish(None, false)
        .to_vec();
    assert_eq!(
        responder
            .success(Method::BINDING, [7; 12])
            .software("abc")
            .finish(None, false),
        fresh
    );
}

#[test]
fn message_may_fill_its_length_field_and_no_more() {
    // 65,532 is the longest body in fours; 24 + 36 + 8 go to the closing attributes and 4 to the header of this one.
    let longest = vec![b'n'; 65_532 - 24 - 36 - 8 - 4];
    let full = RequestBuilder::new(Method::REFRESH, ID)
        .nonce(&longest)
        .software("")
        .lifetime(1);
    let strong = IntegrityKey::of(Integrity::Sha256, b"swordfish");
    let bytes = full.sign(&key()).finish(Some(&strong), true);
    assert_eq!(bytes.len(), 20 + 65_532);
    assert!(view(&bytes).verify(&strong));
    assert!(view(&bytes).verify(&key()));
    let over = RequestBuilder::new(Method::REFRESH, ID)
        .attribute(attr::NONCE, &[&longest[..], b"n"].concat());
    assert_eq!(over.finish(None, false).len(), 20);
}

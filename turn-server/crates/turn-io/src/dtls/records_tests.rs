//! Records, byte by byte. Beside their file and not in it, since clients in tests are made of that file too.

use super::records::{Finish, Record, is_dtls};

/// A plain handshake record with number 1, and a sealed one with number 7 of epoch 1.
const FLIGHT: &str = "16fefd0000000000000001000302aabb\
                      17fefd000100000000000700091111111111111111cc";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn content_types_are_told_from_stun_and_channel_data() {
    let of_dtls: Vec<u8> = (0..=u8::MAX).filter(|first| is_dtls(*first)).collect();
    assert_eq!(of_dtls, (20..=63).collect::<Vec<_>>());
}

#[test]
fn the_first_record_of_a_datagram_is_read() {
    let flight = bytes(FLIGHT);
    let record = Record::first(&flight).unwrap();
    let expected = Record {
        kind: 22,
        epoch: 0,
        number: 1,
        body: &[2, 0xAA, 0xBB],
    };
    assert_eq!(record, expected);
    assert!(record.is_plain_handshake(2));
    assert!(!record.is_plain_handshake(1));
}

#[test]
fn what_is_cut_off_or_of_another_version_is_no_record() {
    let flight = bytes(FLIGHT);
    for length in 0..16 {
        assert_eq!(Record::first(&flight[..length]), None, "{length}");
    }
    let mut tls = flight;
    tls[1..3].copy_from_slice(&[3, 3]);
    assert_eq!(Record::first(&tls), None);
}

#[test]
fn plain_records_are_renumbered_and_sealed_ones_begin_with_their_sequence() {
    let mut flight = bytes(FLIGHT);
    let finish = Finish {
        ahead: 2,
        explicit_nonce: true,
    };
    finish.apply(&mut flight);
    let expected = "16fefd0000000000000003000302aabb\
                    17fefd000100000000000700090001000000000007cc";
    assert_eq!(flight, bytes(expected));
}

#[test]
fn nothing_is_changed_where_nothing_is_to_be_done() {
    let mut flight = bytes(FLIGHT);
    Finish::default().apply(&mut flight);
    assert_eq!(flight, bytes(FLIGHT));
}

#[test]
fn records_that_are_not_whole_are_left_alone() {
    let finish = Finish {
        ahead: u64::MAX,
        explicit_nonce: true,
    };
    let whole = bytes(FLIGHT);
    for length in 0..whole.len() {
        let mut cut = whole[..length].to_vec();
        finish.apply(&mut cut);
        if length < 16 {
            assert_eq!(cut, whole[..length]);
        }
    }
    let mut short = bytes("17fefd0001000000000007000211ff");
    finish.apply(&mut short);
    assert_eq!(short, bytes("17fefd0001000000000007000211ff"));
}

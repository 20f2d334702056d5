//! The values of attributes: which forms are read, which are told malformed, which must be understood.

use crate::support::{ID, addr, unhex, view};
use turn_wire::{
    Family, IntegrityKey, Malformed, Method, ParseError, Request, RequestBuilder, attr, parse_send,
};

#[test]
fn first_of_several_attributes_counts() {
    let builder = RequestBuilder::new(Method::ALLOCATE, ID)
        .username("alice")
        .username("bob")
        .lifetime(1)
        .lifetime(2);
    let bytes = builder.finish(None, false);
    assert_eq!(view(&bytes).username(), Some("alice"));
    assert_eq!(
        Request::decode(&view(&bytes)).unwrap().lifetime(),
        Ok(Some(1))
    );
}

#[test]
fn text_that_is_no_text_or_too_long_is_not_read() {
    let name = |bytes: &[u8]| {
        let message = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(attr::USERNAME, bytes)
            .finish(None, false);
        view(&message).username().map(str::len)
    };
    assert_eq!(name(b"\xff\xfe"), None);
    assert_eq!(name(b""), Some(0));
    assert_eq!(name(&[b'a'; 512]), Some(512));
    assert_eq!(name(&[b'a'; 513]), None);
    let long = [b'a'; 764];
    let message = RequestBuilder::new(Method::ALLOCATE, ID)
        .attribute(attr::REALM, &long)
        .nonce(&long)
        .finish(None, false);
    assert_eq!(view(&message).realm(), None);
    assert_eq!(view(&message).nonce(), None);
}

#[test]
fn padding_of_any_value_is_taken() {
    let bytes = unhex("0001 0008 COMMON 80220001 74ffffff");
    assert_eq!(
        view(&bytes).attribute(attr::SOFTWARE),
        Some(b"t".as_slice())
    );
}

#[test]
fn malformed_values_are_told_from_missing_ones() {
    type Read = fn(&Request) -> Option<Malformed>;
    let cases: [(u16, &[usize], Read); 8] = [
        (attr::REQUESTED_TRANSPORT, &[0, 1, 3, 5, 8], |request| {
            request.requested_transport().err()
        }),
        (attr::REQUESTED_ADDRESS_FAMILY, &[0, 1, 3, 5], |request| {
            request.requested_family().err()
        }),
        (attr::ADDITIONAL_ADDRESS_FAMILY, &[0, 1, 3, 5], |request| {
            request.additional_family().err()
        }),
        (attr::EVEN_PORT, &[0, 2, 4], |request| {
            request.even_port().err()
        }),
        (attr::RESERVATION_TOKEN, &[0, 4, 7, 9], |request| {
            request.reservation_token().err()
        }),
        (attr::LIFETIME, &[0, 2, 3, 5, 8], |request| {
            request.lifetime().err()
        }),
        (attr::CHANNEL_NUMBER, &[0, 2, 3, 5], |request| {
            request.channel_number().err()
        }),
        (
            attr::XOR_PEER_ADDRESS,
            &[0, 3, 4, 7, 9, 19, 21],
            |request| request.peer().err(),
        ),
    ];
    for (kind, lengths, read) in cases {
        let none = RequestBuilder::new(Method::ALLOCATE, ID).finish(None, false);
        assert_eq!(
            read(&Request::decode(&view(&none)).unwrap()),
            None,
            "{kind:#06x} missing"
        );
        for &length in lengths {
            let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
                .attribute(kind, &vec![1; length])
                .finish(None, false);
            let request = Request::decode(&view(&bytes)).unwrap();
            assert_eq!(
                read(&request),
                Some(Malformed::Attribute(kind)),
                "{kind:#06x} of {length} bytes"
            );
        }
    }
}

#[test]
fn peer_of_unknown_family_or_wrong_length_for_its_family_is_malformed() {
    let v4_in_v6_length = "0001 e112 e112a643 000000000000000000000000";
    let v6_in_v4_length = "0002 e112 0113a9fa";
    for value in [
        "0000 e112 e112a643",
        "0003 e112 e112a643",
        "00ff e112 e112a643",
        v4_in_v6_length,
        v6_in_v4_length,
    ] {
        let bytes = RequestBuilder::new(Method::CREATE_PERMISSION, ID)
            .xor_peer_address(addr("192.0.2.1:1"))
            .attribute(attr::XOR_PEER_ADDRESS, &unhex(value))
            .finish(None, false);
        let request = Request::decode(&view(&bytes)).unwrap();
        assert_eq!(
            request.peers(),
            Err(Malformed::Attribute(attr::XOR_PEER_ADDRESS)),
            "{value}"
        );
    }
}

#[test]
fn unknown_families_are_reported_not_refused() {
    for (number, family) in [
        (0, Family::Other(0)),
        (1, Family::V4),
        (2, Family::V6),
        (3, Family::Other(3)),
        (255, Family::Other(255)),
    ] {
        let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(attr::REQUESTED_ADDRESS_FAMILY, &[number, 9, 9, 9])
            .attribute(attr::ADDITIONAL_ADDRESS_FAMILY, &[number, 0, 0, 0])
            .finish(None, false);
        let request = Request::decode(&view(&bytes)).unwrap();
        assert_eq!(request.requested_family(), Ok(Some(family)));
        assert_eq!(request.additional_family(), Ok(Some(family)));
    }
}

/// Clients of coturn's making send the draft's number; a client that sends both means the RFC's.
#[test]
fn the_additional_family_is_found_by_its_drafts_number_too() {
    let draft = |bytes: RequestBuilder| {
        bytes.attribute(attr::DRAFT_ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])
    };
    let alone = draft(RequestBuilder::new(Method::ALLOCATE, ID)).finish(None, false);
    let both = draft(RequestBuilder::new(Method::ALLOCATE, ID))
        .attribute(attr::ADDITIONAL_ADDRESS_FAMILY, &[1, 0, 0, 0])
        .finish(None, false);
    for (bytes, family) in [(alone, Family::V6), (both, Family::V4)] {
        let request = Request::decode(&view(&bytes)).unwrap();
        assert_eq!(request.additional_family(), Ok(Some(family)));
    }
    for meaningless in [&[][..], &[2], &[9, 0, 0, 0], &[2; 5]] {
        let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(attr::DRAFT_ADDITIONAL_ADDRESS_FAMILY, meaningless)
            .finish(None, false);
        let request = Request::decode(&view(&bytes)).unwrap();
        assert_eq!(request.additional_family(), Ok(None));
    }
}

#[test]
fn even_port_reserves_by_its_top_bit_alone() {
    for (byte, reserve) in [(0x00, false), (0x7F, false), (0x80, true), (0xFF, true)] {
        let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(attr::EVEN_PORT, &[byte])
            .finish(None, false);
        assert_eq!(
            Request::decode(&view(&bytes)).unwrap().even_port(),
            Ok(Some(reserve)),
            "{byte:#04x}"
        );
    }
}

#[test]
fn channel_numbers_of_any_range_are_reported() {
    for number in [0, 0x1234, 0x3FFF, 0x4000, 0x5000, 0xFFFF] {
        let bytes = RequestBuilder::new(Method::CHANNEL_BIND, ID)
            .channel_number(number)
            .finish(None, false);
        assert_eq!(
            Request::decode(&view(&bytes)).unwrap().channel_number(),
            Ok(Some(number))
        );
    }
}

#[test]
fn the_old_number_of_xor_mapped_address_is_just_optional() {
    // The codec renames 0x8020 to XOR-MAPPED-ADDRESS; nothing that is obeyed here hides behind a second number.
    let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
        .attribute(0x8020, &[0; 8])
        .lifetime(7)
        .finish(None, false);
    assert_eq!(view(&bytes).attribute(attr::XOR_MAPPED_ADDRESS), None);
    assert_eq!(
        Request::decode(&view(&bytes)).unwrap().lifetime(),
        Ok(Some(7))
    );
}

#[test]
fn connection_id_is_four_bytes_and_a_ticket_is_any() {
    let read = |kind, value: &[u8]| {
        let bytes = RequestBuilder::new(Method::CONNECTION_BIND, ID)
            .attribute(kind, value)
            .finish(None, false);
        Request::decode(&view(&bytes)).unwrap()
    };
    assert_eq!(
        read(attr::CONNECTION_ID, &[1, 2, 3, 4]).connection_id(),
        Ok(Some(0x0102_0304))
    );
    for wrong in [&[][..], &[1, 2, 3], &[1, 2, 3, 4, 5]] {
        assert_eq!(
            read(attr::CONNECTION_ID, wrong).connection_id(),
            Err(turn_wire::Malformed::Attribute(attr::CONNECTION_ID))
        );
    }
    for ticket in [&b""[..], b"a ticket"] {
        assert_eq!(
            read(attr::MOBILITY_TICKET, ticket).mobility_ticket(),
            Some(ticket)
        );
        assert_eq!(
            read(attr::MOBILITY_TICKET, ticket).connection_id(),
            Ok(None)
        );
    }
    assert_eq!(read(attr::CONNECTION_ID, b"none").mobility_ticket(), None);
}

#[test]
fn required_attributes_of_unspoken_extensions_are_unknown() {
    let unspoken = [
        attr::CHANGE_REQUEST,
        attr::ACCESS_TOKEN,
        attr::PADDING,
        attr::RESPONSE_PORT,
        0x0000,
        0x0024,
        0x7FFF,
    ];
    for kind in unspoken {
        let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(kind, &[0; 4])
            .finish(None, false);
        assert_eq!(
            view(&bytes).unknown_required().collect::<Vec<_>>(),
            [kind],
            "{kind:#06x}"
        );
    }
}

#[test]
fn understood_and_optional_attributes_are_not_unknown() {
    let taken = [
        0x0001, 0x0006, 0x0008, 0x0009, 0x000A, 0x000C, 0x000D, 0x0012, 0x0013, 0x0014, 0x0015,
        0x0016, 0x0017, 0x0018, 0x0019, 0x001A, 0x001C, 0x001D, 0x001E, 0x0020, 0x0022, 0x002A,
        0x8000, 0x8002, 0x8022, 0x8028, 0x802A, 0x8030, 0xC057, 0xFFFF,
    ];
    for kind in taken {
        let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(kind, &[0; 4])
            .finish(None, false);
        assert_eq!(view(&bytes).unknown_required().count(), 0, "{kind:#06x}");
    }
}

#[test]
fn send_without_peer_or_data_is_refused() {
    let send = || RequestBuilder::indication(Method::SEND, ID);
    let outcome = |builder: RequestBuilder| parse_send(&view(&builder.finish(None, false))).err();
    assert_eq!(
        outcome(send().data(b"x")),
        Some(ParseError::Missing(attr::XOR_PEER_ADDRESS))
    );
    assert_eq!(
        outcome(send().xor_peer_address(addr("192.0.2.1:1"))),
        Some(ParseError::Missing(attr::DATA))
    );
    let malformed = send().attribute(attr::XOR_PEER_ADDRESS, &[0; 7]).data(b"x");
    assert_eq!(
        outcome(malformed),
        Some(ParseError::Attribute(attr::XOR_PEER_ADDRESS))
    );
}

#[test]
fn send_with_an_attribute_that_is_not_understood_is_refused() {
    let send = RequestBuilder::indication(Method::SEND, ID)
        .xor_peer_address(addr("192.0.2.1:1"))
        .data(b"x");
    let bytes = send.attribute(attr::PADDING, b"").finish(None, false);
    assert_eq!(
        parse_send(&view(&bytes)),
        Err(ParseError::Unknown(attr::PADDING))
    );
}

#[test]
fn dont_fragment_in_send_is_reported() {
    let send = || {
        RequestBuilder::indication(Method::SEND, ID)
            .xor_peer_address(addr("192.0.2.1:1"))
            .data(b"x")
    };
    let with = send().dont_fragment().finish(None, false);
    let without = send().finish(None, false);
    assert!(parse_send(&view(&with)).unwrap().dont_fragment);
    assert!(!parse_send(&view(&without)).unwrap().dont_fragment);
}

#[test]
fn only_a_send_indication_is_a_send() {
    let filled = |builder: RequestBuilder| {
        builder
            .xor_peer_address(addr("192.0.2.1:1"))
            .data(b"x")
            .finish(None, false)
    };
    let request = filled(RequestBuilder::new(Method::SEND, ID));
    let data = filled(RequestBuilder::indication(Method::DATA, ID));
    assert_eq!(parse_send(&view(&request)), Err(ParseError::OtherMessage));
    assert_eq!(parse_send(&view(&data)), Err(ParseError::OtherMessage));
}

#[test]
fn first_peer_and_data_of_a_send_count() {
    let (first, second) = (addr("192.0.2.1:1"), addr("192.0.2.2:2"));
    let send = RequestBuilder::indication(Method::SEND, ID)
        .xor_peer_address(first)
        .data(b"first");
    let bytes = send
        .xor_peer_address(second)
        .data(b"second")
        .finish(None, false);
    let read = parse_send(&view(&bytes)).unwrap();
    assert_eq!((read.peer, &bytes[read.data]), (first, b"first".as_slice()));
}

#[test]
fn error_code_is_read_without_its_reserved_bits_and_not_from_a_short_value() {
    let code = |value: &[u8]| {
        let bytes = RequestBuilder::new(Method::ALLOCATE, ID)
            .attribute(attr::ERROR_CODE, value)
            .finish(None, false);
        view(&bytes).error_code()
    };
    assert_eq!(code(&[0xFF, 0xFF, 0xFC, 38, b'!']), Some(438));
    assert_eq!(code(&[0, 0, 4]), None);
    assert_eq!(code(&[]), None);
}

#[test]
fn what_no_longer_fits_a_message_is_left_out_and_what_does_is_not() {
    let lifetime = |length: usize| {
        let builder = RequestBuilder::new(Method::ALLOCATE, ID).data(&vec![7; length]);
        let bytes = builder.lifetime(600).finish(None, true);
        Request::decode(&view(&bytes)).unwrap().lifetime()
    };
    assert_eq!(lifetime(5_000), Ok(Some(600)));
    assert_eq!(lifetime(65_000), Ok(Some(600)));
    assert_eq!(lifetime(65_452), Ok(None));
}

#[test]
fn methods_are_named_as_in_their_rfcs() {
    for (method, name) in [
        (Method::BINDING, "Binding"),
        (Method::ALLOCATE, "Allocate"),
        (Method::REFRESH, "Refresh"),
        (Method::SEND, "Send"),
        (Method::DATA, "Data"),
        (Method::CREATE_PERMISSION, "CreatePermission"),
        (Method::CHANNEL_BIND, "ChannelBind"),
        (Method::CONNECT, "Connect"),
        (Method::CONNECTION_BIND, "ConnectionBind"),
        (Method::CONNECTION_ATTEMPT, "ConnectionAttempt"),
    ] {
        assert_eq!(method.to_string(), name);
    }
    let unknown = Method::from_number(0x0123).unwrap();
    assert_eq!(unknown.to_string(), "method 0x123");
}

#[test]
fn a_view_knows_its_length_and_its_integrity() {
    let bytes = RequestBuilder::new(Method::ALLOCATE, ID).lifetime(600);
    let plain = bytes.finish(None, false);
    assert_eq!(view(&plain).packet_len(), 28);
    assert!(!view(&plain).has_sha1_integrity());
    let key = IntegrityKey::new(b"swordfish");
    let signed = RequestBuilder::new(Method::ALLOCATE, ID).finish(Some(&key), false);
    assert_eq!(view(&signed).packet_len(), signed.len());
    assert!(view(&signed).has_sha1_integrity());
}

#[test]
fn discovery_attributes_are_read_from_the_view_or_told_malformed() {
    let with = |kind, value: &[u8]| {
        let bytes = RequestBuilder::new(Method::BINDING, ID).attribute(kind, value);
        bytes.finish(None, false)
    };
    let port = |value: &[u8]| view(&with(attr::RESPONSE_PORT, value)).response_port();
    assert_eq!(port(&[0x12, 0x34, 0, 0]), Ok(Some(0x1234)));
    assert_eq!(
        port(&[0x12]),
        Err(Malformed::Attribute(attr::RESPONSE_PORT))
    );
    let change = |value: &[u8]| view(&with(attr::CHANGE_REQUEST, value)).change_request();
    assert!(change(&[0, 0, 0, 6]).unwrap().unwrap().ip);
    assert!(change(&[0]).is_err());
    assert_eq!(view(&with(attr::SOFTWARE, b"x")).response_port(), Ok(None));
}

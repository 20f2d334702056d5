//! Headers of relayed data in place, ChannelData read back, and frames on streams.

use proptest::prelude::*;

use crate::support::{ID, addr, unhex, view};
use turn_wire::stream::{Frame, FramingError, MAX_FRAME, next_frame};
use turn_wire::{
    ChannelData, HEADROOM, Method, Packet, ParseError, RequestBuilder, TAILROOM, parse, parse_data,
    parse_send, write_channel_data, write_data_indication,
};

const V6: &str = "[2001:db8::1]:49152";

fn channel(packet: &[u8]) -> Result<ChannelData, ParseError> {
    match parse(packet)? {
        Packet::ChannelData(channel) => Ok(channel),
        Packet::Stun(_) => Err(ParseError::OtherMessage),
    }
}

#[test]
fn channel_data_is_read_with_and_without_padding() {
    for padding in ["", "00", "0000", "ffffff"] {
        let packet = unhex(&format!("4001 0005 68656c6c6f {padding}"));
        assert_eq!(
            channel(&packet),
            Ok(ChannelData {
                number: 0x4001,
                payload: 4..9
            }),
            "{padding}"
        );
    }
}

#[test]
fn channel_data_longer_than_its_packet_or_followed_by_more_is_refused() {
    assert_eq!(
        channel(&unhex("4001 0005 68656c6c")),
        Err(ParseError::Length)
    );
    assert_eq!(
        channel(&unhex("4001 ffff 68656c6c")),
        Err(ParseError::Length)
    );
    assert_eq!(
        channel(&unhex("4001 0001 68 00000000")),
        Err(ParseError::Length)
    );
}

#[test]
fn channel_data_may_be_empty_and_carry_any_number_with_its_first_bits() {
    for number in [0x4000_u16, 0x4FFF, 0x5000, 0x7FFF] {
        let packet = [number.to_be_bytes(), [0, 0]].concat();
        assert_eq!(
            channel(&packet),
            Ok(ChannelData {
                number,
                payload: 4..4
            })
        );
    }
}

#[test]
fn headers_need_their_headroom_to_the_byte() {
    let mut buf = [0; 64];
    assert_eq!(
        write_channel_data(&mut buf, 4..8, 0x4000, false),
        Some(0..8)
    );
    assert_eq!(write_channel_data(&mut buf, 3..8, 0x4000, false), None);
    assert_eq!(
        write_data_indication(&mut buf, 36..40, addr("192.0.2.1:1"), ID),
        Some(0..40)
    );
    assert_eq!(
        write_data_indication(&mut buf, 35..39, addr("192.0.2.1:1"), ID),
        None
    );
    assert_eq!(
        write_data_indication(&mut buf, HEADROOM..52, addr(V6), ID),
        Some(0..52)
    );
    assert_eq!(
        write_data_indication(&mut buf, HEADROOM - 1..52, addr(V6), ID),
        None
    );
}

#[test]
fn padding_needs_its_tailroom() {
    let mut buf = [0; HEADROOM + 5 + 3];
    assert!(write_data_indication(&mut buf, HEADROOM..HEADROOM + 5, addr(V6), ID).is_some());
    assert!(write_channel_data(&mut buf, HEADROOM..HEADROOM + 5, 0x4000, true).is_some());
    let mut short = [0; HEADROOM + 5 + 2];
    assert_eq!(
        write_data_indication(&mut short, HEADROOM..HEADROOM + 5, addr(V6), ID),
        None
    );
    assert_eq!(
        write_channel_data(&mut short, HEADROOM..HEADROOM + 5, 0x4000, true),
        None
    );
    assert!(write_channel_data(&mut short, HEADROOM..HEADROOM + 5, 0x4000, false).is_some());
}

#[test]
fn ranges_outside_the_buffer_or_reversed_are_refused() {
    let mut buf = [0; 64];
    #[allow(clippy::reversed_empty_ranges, reason = "the subject of this test")]
    for payload in [50..65, 65..70, 60..50, usize::MAX - 1..usize::MAX] {
        assert_eq!(
            write_channel_data(&mut buf, payload.clone(), 0x4000, true),
            None,
            "{payload:?}"
        );
        assert_eq!(
            write_data_indication(&mut buf, payload.clone(), addr(V6), ID),
            None,
            "{payload:?}"
        );
    }
}

#[test]
fn payloads_beyond_the_length_fields_are_refused() {
    let mut buf = vec![0; HEADROOM + 70_000];
    assert!(write_channel_data(&mut buf, HEADROOM..HEADROOM + 65_535, 0x4000, true).is_some());
    assert_eq!(
        write_channel_data(&mut buf, HEADROOM..HEADROOM + 65_536, 0x4000, true),
        None
    );
    // 24 + 4 bytes of attribute headers share the 16 bits, and the length counts in fours.
    assert!(write_data_indication(&mut buf, HEADROOM..HEADROOM + 65_504, addr(V6), ID).is_some());
    assert_eq!(
        write_data_indication(&mut buf, HEADROOM..HEADROOM + 65_505, addr(V6), ID),
        None
    );
}

#[test]
fn frames_are_found_with_their_padding() {
    assert_eq!(
        next_frame(&unhex("4001 0005 68656c6c6f 000000 4001")),
        Ok(Frame::Whole(12))
    );
    assert_eq!(
        next_frame(&unhex("4001 0005 68656c6c6f 0000")),
        Ok(Frame::Incomplete)
    );
    assert_eq!(next_frame(&unhex("4001 0000")), Ok(Frame::Whole(4)));
    assert_eq!(
        next_frame(
            &RequestBuilder::new(Method::BINDING, ID)
                .software("abc")
                .finish(None, false)
        ),
        Ok(Frame::Whole(28))
    );
}

#[test]
fn frames_dripping_in_by_the_byte_are_incomplete_until_whole() {
    let message = RequestBuilder::new(Method::BINDING, ID)
        .software("abcde")
        .finish(None, true);
    for packet in [message, unhex("7fff 0006 68656c6c6f21 0000")] {
        for cut in 0..packet.len() {
            assert_eq!(
                next_frame(&packet[..cut]),
                Ok(Frame::Incomplete),
                "{cut} bytes"
            );
        }
        assert_eq!(next_frame(&packet), Ok(Frame::Whole(packet.len())));
    }
}

#[test]
fn other_protocols_are_refused_at_the_first_byte_that_shows_them() {
    assert_eq!(next_frame(&[0x80]), Err(FramingError));
    assert_eq!(next_frame(&unhex("0001 0003")), Err(FramingError));
    assert_eq!(next_frame(&unhex("0001 0000 22")), Err(FramingError));
    assert_eq!(next_frame(&unhex("0001 0000 2112a443")), Err(FramingError));
    // A TLS ClientHello on a plain port: 0x16 reads as a message type, and the record's length and version betray it.
    assert_eq!(next_frame(&unhex("16 0301 0200 01")), Err(FramingError));
    // "GET / HTTP" begins with the bits of ChannelData, whose length the next bytes would be.
    assert_eq!(next_frame(b"GET / HTTP/1.1\r\n\r\n"), Ok(Frame::Incomplete));
}

#[test]
fn no_frame_is_longer_than_the_stated_limit() {
    assert_eq!(
        next_frame(&[&unhex("0001 fffc 2112a442")[..], &vec![0; 70_000]].concat()),
        Ok(Frame::Whole(MAX_FRAME))
    );
    let channel = [&unhex("4000 ffff")[..], &vec![0; 70_000]].concat();
    assert!(
        matches!(next_frame(&channel), Ok(Frame::Whole(whole)) if whole == 65_540 && whole < MAX_FRAME)
    );
}

proptest! {
    #[test]
    fn data_indication_in_place_reads_back_and_keeps_the_payload(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        ip in any::<std::net::IpAddr>(),
        port in any::<u16>(),
        id in any::<[u8; 12]>(),
    ) {
        let peer = std::net::SocketAddr::new(ip, port);
        let mut buf = [&[0xEE; HEADROOM][..], &payload, &[0xEE; TAILROOM]].concat();
        let range = write_data_indication(&mut buf, HEADROOM..HEADROOM + payload.len(), peer, id).unwrap();
        let message = &buf[range];
        prop_assert_eq!(view(message).transaction_id(), id);
        let read = parse_data(&view(message)).unwrap();
        prop_assert_eq!(read.peer, peer);
        prop_assert_eq!(&message[read.data], &payload[..]);
        let padding = &message[message.len() - (payload.len().next_multiple_of(4) - payload.len())..];
        prop_assert!(padding.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn send_built_by_the_codec_is_read_in_place(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        ip in any::<std::net::IpAddr>(),
        port in any::<u16>(),
        sealed in any::<bool>(),
    ) {
        let peer = std::net::SocketAddr::new(ip, port);
        let message = RequestBuilder::indication(Method::SEND, ID).xor_peer_address(peer).data(&payload).finish(None, sealed);
        let read = parse_send(&view(&message)).unwrap();
        prop_assert_eq!(read.peer, peer);
        prop_assert_eq!(&message[read.data], &payload[..]);
    }

    #[test]
    fn channel_data_reads_back_from_datagrams_and_streams(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        number in 0x4000..=0x7FFF_u16,
        pad in any::<bool>(),
    ) {
        let mut buf = [&[0xEE; HEADROOM][..], &payload, &[0xEE; TAILROOM]].concat();
        let range = write_channel_data(&mut buf, HEADROOM..HEADROOM + payload.len(), number, pad).unwrap();
        let packet = &buf[range];
        let read = channel(packet).unwrap();
        prop_assert_eq!(read.number, number);
        prop_assert_eq!(&packet[read.payload], &payload[..]);
        if pad {
            prop_assert_eq!(next_frame(packet), Ok(Frame::Whole(packet.len())));
        }
    }

    #[test]
    fn a_stream_of_frames_is_cut_where_they_were_joined(
        lengths in prop::collection::vec((any::<bool>(), 0..40_usize), 1..8),
    ) {
        let frames: Vec<Vec<u8>> = lengths
            .into_iter()
            .map(|(is_channel, length)| if is_channel {
                let mut buf = vec![0xEE; 4 + length + TAILROOM];
                let range = write_channel_data(&mut buf, 4..4 + length, 0x4000, true).unwrap();
                buf[range].to_vec()
            } else {
                RequestBuilder::new(Method::BINDING, ID).software(&"s".repeat(length)).finish(None, true)
            })
            .collect();
        let stream = frames.concat();
        let mut rest = &stream[..];
        for frame in &frames {
            prop_assert_eq!(next_frame(rest), Ok(Frame::Whole(frame.len())));
            prop_assert!(parse(&rest[..frame.len()]).is_ok());
            rest = &rest[frame.len()..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn whatever_is_framed_never_panics_and_never_exceeds_what_is_there(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(Frame::Whole(whole)) = next_frame(&bytes) {
            prop_assert!(whole <= bytes.len());
        }
    }
}

//! Frames as no library writes them (RFC 6455), at every door: sizes, fragments, text that is none, control frames, close codes.
//!
//! In: what we configure and what we make of the library's complaints. Not in: what messages mean.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: a panic is the report"
)]

mod common;

use std::time::Duration;

use common::{PATIENCE, Server};
use signaling::hub::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Bits of the first byte: the last fragment, and the one that compression would use.
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// A way in, what is said first there, and what has come when the server has understood.
struct Door {
    path: &'static str,
    hello: &'static str,
    greeting: &'static str,
    /// Something that is answered, with a place for padding, and a part of the answer.
    question: (&'static str, &'static str),
}

const DOORS: [Door; 5] = [
    Door {
        path: "/ws?token=ann",
        hello: "",
        greeting: r#""connected""#,
        question: (r#"{"type":"ping","x":"#, r#""pong""#),
    },
    Door {
        path: "/?token=ann",
        hello: "",
        greeting: r#""connected""#,
        question: (
            r#"{"type":"call-answer","callId":"none","x":"#,
            "Call not found",
        ),
    },
    Door {
        path: "/ws/stream",
        hello: r#"{"type":"register","role":"receiver"}"#,
        greeting: "registered",
        question: (r#"{"type":"answer","sdp":"v=0","x":"#, "error"),
    },
    Door {
        path: "/peerjs?key=peerjs&id=ann&token=t",
        hello: "",
        greeting: "OPEN",
        question: (r#"{"type":"OFFER","dst":"ann","payload":"#, "OFFER"),
    },
    Door {
        path: "/socket.io/?EIO=4&transport=websocket",
        hello: r#"40{"token":"ann"}"#,
        greeting: "40{",
        question: (r#"420["call-initiate","#, "error"),
    },
];

impl Door {
    /// A message of a length that is answered.
    fn question(&self, length: usize) -> String {
        let (begun, end) = (
            self.question.0,
            if self.path.starts_with("/socket") {
                "\"]"
            } else {
                "\"}"
            },
        );
        let padding = length - begun.len() - end.len() - 1;
        format!("{begun}\"{}{end}", "x".repeat(padding))
    }
}

/// A connection without a library.
struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// Upgrades with further fields, and returns the answer's head as well.
    async fn upgrade(server: &Server, path: &str, fields: &str) -> (Raw, String) {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n",
            server.address
        );
        // A server that has read enough closes, which is no failure of the client's.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut raw = Raw {
            stream,
            received: Vec::new(),
        };
        let head = loop {
            if let Some(end) = raw.received.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = raw.received.drain(..end + 4).collect();
                break String::from_utf8(head).unwrap();
            }
            if !raw.more().await {
                break String::from_utf8_lossy(&raw.received).into_owned();
            }
        };
        (raw, head)
    }

    /// Goes in by a door, until it has been greeted.
    async fn enter(server: &Server, door: &Door) -> Raw {
        let (mut raw, head) = Raw::upgrade(server, door.path, "").await;
        assert!(head.starts_with("HTTP/1.1 101"), "{}: {head}", door.path);
        if !door.hello.is_empty() {
            raw.send(&frame(FIN | TEXT, door.hello.as_bytes())).await;
        }
        raw.until(door.greeting).await;
        raw
    }

    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
        read.unwrap().is_ok_and(|length| length > 0)
    }

    async fn send(&mut self, bytes: &[u8]) {
        // Whoever is closed while writing reads the close.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame: its first byte and its payload; `None` at the end.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, start, length)) = head(&self.received)
                && self.received.len() >= start + length
            {
                let payload = self.received[start..start + length].to_vec();
                self.received.drain(..start + length);
                return Some((first, payload));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Skips frames until a text that contains something.
    async fn until(&mut self, part: &str) -> String {
        loop {
            let (first, payload) = self
                .frame()
                .await
                .unwrap_or_else(|| panic!("closed before {part}"));
            let text = String::from_utf8_lossy(&payload).into_owned();
            match first & 0x0f {
                CLOSE => panic!("closed before {part}: {payload:?}"),
                TEXT if text.contains(part) => return text,
                _ => {}
            }
        }
    }

    /// Skips frames until the close frame; returns its code.
    async fn closed(&mut self) -> Option<u16> {
        while let Some((first, payload)) = self.frame().await {
            if first & 0x0f == CLOSE {
                return Some(
                    payload
                        .first_chunk()
                        .map_or(1005, |code| u16::from_be_bytes(*code)),
                );
            }
        }
        None
    }
}

/// Where the payload of an unmasked frame begins, and how long it is.
fn head(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    match second {
        126 => Some((
            first,
            4,
            usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        )),
        127 => Some((
            first,
            10,
            usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?,
        )),
        length => Some((first, 2, usize::from(length))),
    }
}

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = announced(first, payload.len() as u64);
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// The beginning of a masked frame, up to the mask.
fn announced(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(0x80 | length as u8),
        126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

/// A message in fragments of a length.
fn fragments(text: &[u8], length: usize) -> Vec<u8> {
    let count = text.len().div_ceil(length);
    let mut bytes = Vec::new();
    for (index, part) in text.chunks(length).enumerate() {
        let opcode = if index == 0 { TEXT } else { CONTINUATION };
        let fin = if index + 1 == count { FIN } else { 0 };
        bytes.extend(frame(fin | opcode, part));
    }
    bytes
}

async fn server() -> Server {
    Server::limited(Limits {
        rate: 1_000_000,
        burst: 1_000_000,
        ..Limits::default()
    })
    .await
}

#[tokio::test]
async fn a_message_in_fragments_of_one_byte_is_one_message_at_every_door() {
    for door in &DOORS {
        let server = server().await;
        let mut raw = Raw::enter(&server, door).await;
        raw.send(&fragments(door.question(4_096).as_bytes(), 1))
            .await;
        raw.until(door.question.1).await;
    }
}

#[tokio::test]
async fn bytes_that_come_one_by_one_are_a_message_too() {
    let server = server().await;
    let mut raw = Raw::enter(&server, &DOORS[0]).await;
    for byte in frame(FIN | TEXT, br#"{"type":"ping"}"#) {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    raw.until("pong").await;
}

#[tokio::test]
async fn sixty_four_kib_pass_and_a_byte_more_is_closed_with_1009_however_it_is_cut() {
    for door in &DOORS {
        for length in [65_600, 16_384, 7] {
            let server = server().await;
            let mut raw = Raw::enter(&server, door).await;
            raw.send(&fragments(door.question(65_536).as_bytes(), length))
                .await;
            raw.until(door.question.1).await;
            raw.send(&fragments(door.question(65_537).as_bytes(), length))
                .await;
            assert_eq!(raw.closed().await, Some(1009), "{} by {length}", door.path);
        }
    }
}

#[tokio::test]
async fn an_announced_length_is_refused_before_anything_of_it_comes() {
    for door in &DOORS {
        for length in [65_537, 1 << 32, (1 << 63) - 1] {
            let server = server().await;
            let mut raw = Raw::enter(&server, door).await;
            raw.send(&announced(FIN | TEXT, length)).await;
            raw.send(&[1, 2, 3, 4, b'x']).await;
            assert_eq!(raw.closed().await, Some(1009), "{} {length}", door.path);
        }
    }
}

#[tokio::test]
async fn what_breaks_the_framing_is_closed_with_1002() {
    let unmasked = [FIN | TEXT, 2, b'{', b'}'];
    let interleaved = [frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat();
    for (what, bytes) in [
        ("no mask (§5.1)", unmasked.to_vec()),
        ("a reserved bit (§5.2)", frame(FIN | 0x20 | TEXT, b"{}")),
        (
            "compression that was not agreed (RFC 7692)",
            frame(FIN | RSV1 | TEXT, &[0xaa, 0x56, 0x4a]),
        ),
        ("a reserved opcode (§5.2)", frame(FIN | 3, b"x")),
        ("a reserved control opcode (§5.2)", frame(FIN | 11, b"x")),
        (
            "a control frame of 126 bytes (§5.5)",
            frame(FIN | PING, &[0; 126]),
        ),
        ("a control frame in fragments (§5.5)", frame(PING, b"x")),
        (
            "a continuation of nothing (§5.4)",
            frame(FIN | CONTINUATION, b"x"),
        ),
        ("a message within another (§5.4)", interleaved),
        ("a close of one byte (§5.5.1)", frame(FIN | CLOSE, &[3])),
        (
            "a close code that is never sent (§7.4.1)",
            frame(FIN | CLOSE, &1005_u16.to_be_bytes()),
        ),
        (
            "a close code below all (§7.4.2)",
            frame(FIN | CLOSE, &999_u16.to_be_bytes()),
        ),
    ] {
        for door in &DOORS {
            let server = server().await;
            let mut raw = Raw::enter(&server, door).await;
            raw.send(&bytes).await;
            assert_eq!(raw.closed().await, Some(1002), "{what} at {}", door.path);
        }
    }
}

#[tokio::test]
async fn text_that_is_no_utf_8_is_closed_with_1007() {
    for text in [
        &b"\xff"[..],
        b"{\"type\":\"\xed\xa0\x80\"}",
        b"\xc0\xaf",
        b"{\xe2\x82",
    ] {
        for door in &DOORS {
            let server = server().await;
            let mut raw = Raw::enter(&server, door).await;
            raw.send(&frame(FIN | TEXT, text)).await;
            assert_eq!(raw.closed().await, Some(1007), "{text:?} at {}", door.path);
        }
    }
}

#[tokio::test]
async fn a_letter_may_be_cut_by_fragments() {
    let server = server().await;
    let mut raw = Raw::enter(&server, &DOORS[0]).await;
    raw.send(&fragments(r#"{"type":"ping","x":"Zoë 🎥"}"#.as_bytes(), 1))
        .await;
    raw.until("pong").await;
}

#[tokio::test]
async fn control_frames_are_answered_between_fragments() {
    let server = server().await;
    let mut raw = Raw::enter(&server, &DOORS[0]).await;
    raw.send(&frame(TEXT, br#"{"type":"#)).await;
    raw.send(&frame(FIN | PING, &[7; 125])).await;
    raw.send(&frame(FIN | PONG, b"nobody asked")).await;
    assert_eq!(raw.frame().await, Some((FIN | PONG, vec![7; 125])));
    raw.send(&frame(FIN | CONTINUATION, br#""ping"}"#)).await;
    raw.until("pong").await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code() {
    for code in [1000_u16, 1001, 1008, 3000, 4999] {
        let server = server().await;
        let mut raw = Raw::enter(&server, &DOORS[0]).await;
        raw.send(&frame(FIN | CLOSE, &code.to_be_bytes())).await;
        assert_eq!(raw.closed().await, Some(code));
        assert_eq!(raw.frame().await, None);
    }
}

#[tokio::test]
async fn empty_fragments_without_end_are_bounded() {
    let server = server().await;
    let mut raw = Raw::enter(&server, &DOORS[0]).await;
    raw.send(&frame(TEXT, b"")).await;
    let many = frame(CONTINUATION, b"").repeat(100_000);
    raw.send(&many).await;
    raw.send(&frame(FIN | CONTINUATION, br#"{"type":"ping"}"#))
        .await;
    raw.until("pong").await;
}

#[tokio::test]
async fn compression_is_never_agreed_to() {
    for door in &DOORS {
        let server = server().await;
        let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
        let (_raw, head) = Raw::upgrade(&server, door.path, offer).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
    }
}

#[tokio::test]
async fn two_thousand_fields_are_refused_at_every_door() {
    let server = server().await;
    let fields: String = (0..2_000).map(|n| format!("X-{n}: 1\r\n")).collect();
    for door in &DOORS {
        let (_raw, head) = Raw::upgrade(&server, door.path, &fields).await;
        assert!(
            head.starts_with("HTTP/1.1 431") || head.is_empty(),
            "{}: {head}",
            door.path
        );
    }
    let long = format!("X: {}\r\n", "x".repeat(65_536));
    for door in &DOORS {
        let (_raw, head) = Raw::upgrade(&server, door.path, &long).await;
        assert!(
            head.starts_with("HTTP/1.1 431") || head.is_empty(),
            "{}: {head}",
            door.path
        );
    }
    assert_eq!(server.signaling.census().connections, 0);
}

#[tokio::test]
async fn a_foreign_origin_is_refused_at_every_door() {
    let server = server().await;
    for door in &DOORS {
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost",
            "file://",
        ] {
            let fields = format!("Origin: {origin}\r\n");
            let (_raw, head) = Raw::upgrade(&server, door.path, &fields).await;
            assert!(
                head.starts_with("HTTP/1.1 403"),
                "{origin} at {}: {head}",
                door.path
            );
        }
    }
    assert_eq!(server.signaling.census().connections, 0);
}

#[tokio::test]
async fn deep_json_is_refused_or_passed_on_unread_and_nobody_falls() {
    for door in &DOORS {
        let server = server().await;
        let mut raw = Raw::enter(&server, door).await;
        for nested in [
            "[".repeat(60_000),
            "{\"a\":".repeat(12_000),
            format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)),
        ] {
            let whole = door.question(64);
            let message = whole.replace(
                &format!("\"{}\"", "x".repeat(whole.matches('x').count())),
                &nested,
            );
            raw.send(&frame(FIN | TEXT, message.as_bytes())).await;
        }
        raw.send(&frame(FIN | TEXT, door.question(200).as_bytes()))
            .await;
        raw.until(door.question.1).await;
        assert_eq!(server.signaling.census().connections, 1, "{}", door.path);
    }
}

#[tokio::test]
async fn whoever_sends_bytes_that_are_no_text_is_closed() {
    for door in &DOORS {
        let server = server().await;
        let mut raw = Raw::enter(&server, door).await;
        raw.send(&frame(FIN | BINARY, &[0xff, 0xfe])).await;
        assert!(
            matches!(raw.closed().await, Some(1002 | 1003 | 1007)),
            "{}",
            door.path
        );
    }
}

#[tokio::test]
async fn somebody_who_never_finishes_a_frame_holds_up_nobody() {
    let server = server().await;
    let mut half = Raw::enter(&server, &DOORS[0]).await;
    half.send(&announced(FIN | TEXT, 60_000)).await;
    let mut other = Raw::enter(&server, &DOORS[1]).await;
    for _ in 0..100 {
        half.send(b"x").await;
        other
            .send(&frame(FIN | TEXT, DOORS[1].question(100).as_bytes()))
            .await;
        other.until(DOORS[1].question.1).await;
    }
    drop(half);
    drop(other);
    let gone = async {
        while server.signaling.census().connections > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

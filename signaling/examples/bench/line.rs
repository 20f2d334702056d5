//! One client connection: a WebSocket without a library, because one would take more time than the servers.
//!
//! In: the upgrade, frames, and the greeting of each protocol. Not in: what is measured with it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::contender::{Dialect, PATIENCE};

/// A connection that was greeted.
pub(crate) struct Line {
    pub(crate) reading: Reading,
    pub(crate) writing: Writing,
}

/// What comes from the server.
pub(crate) struct Reading {
    half: OwnedReadHalf,
    received: Vec<u8>,
}

/// What goes to it.
pub(crate) struct Writing(OwnedWriteHalf);

impl Line {
    pub(crate) async fn open(server: SocketAddr, dialect: Dialect, name: &str) -> Line {
        let path = match dialect {
            Dialect::PeerJs => format!("/peerjs?key=peerjs&id={name}&token=t&version=1.5.5"),
            Dialect::SocketIo => "/socket.io/?EIO=4&transport=websocket".to_owned(),
            Dialect::Native => format!("/ws?token={name}"),
            Dialect::Stream => format!("/ws/stream?token={name}"),
        };
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (half, writing) = stream.into_split();
        let mut line = Line {
            reading: Reading {
                half,
                received: Vec::new(),
            },
            writing: Writing(writing),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        line.writing.raw(request.as_bytes()).await;
        line.reading.head().await;
        match dialect {
            Dialect::PeerJs => line.reading.until("OPEN").await,
            Dialect::SocketIo => {
                line.reading.until("0{").await;
                line.say(&format!(r#"40{{"token":"{name}"}}"#)).await;
                line.reading.until("40{").await
            }
            Dialect::Native => line.reading.until("connected").await,
            Dialect::Stream => {
                let register =
                    format!(r#"{{"type":"register","role":"receiver","room":"{name}"}}"#);
                line.say(&register).await;
                line.reading.until("registered").await
            }
        };
        line.reading.received.shrink_to_fit();
        line
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.writing.say(text).await;
    }

    /// Says whether the server has not closed it.
    pub(crate) fn is_open(&self) -> bool {
        match self.reading.half.try_read(&mut [0]) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// Skips texts until one contains `part`.
    pub(crate) async fn until(&mut self, part: &str) -> String {
        self.reading.until(part).await
    }
}

impl Reading {
    /// Skips the answer to the upgrade.
    async fn head(&mut self) {
        loop {
            let end = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => {
                    self.received.drain(..end + 4);
                    return;
                }
                None => self.more().await,
            }
        }
    }

    async fn more(&mut self) {
        let read = timeout(PATIENCE, self.half.read_buf(&mut self.received)).await;
        assert!(read.expect("nothing comes").unwrap() > 0, "closed");
    }

    /// Throws away what comes; `false` when nothing more will.
    pub(crate) async fn skip(&mut self) -> bool {
        self.received.clear();
        matches!(self.half.read_buf(&mut self.received).await, Ok(1..))
    }

    /// Skips texts until one contains `part`. Pings of Socket.IO are left to its patience.
    pub(crate) async fn until(&mut self, part: &str) -> String {
        loop {
            while let Some(text) = self.text() {
                if text.contains(part) {
                    return text;
                }
            }
            self.more().await;
        }
    }

    fn text(&mut self) -> Option<String> {
        let (start, length) = match *self.received.get(1)? {
            126 => (
                4,
                usize::from(u16::from_be_bytes(*self.received.get(2..)?.first_chunk()?)),
            ),
            127 => panic!("a frame of more than 64 KiB"),
            length => (2, usize::from(length)),
        };
        let payload = self.received.get(start..start + length)?;
        let text = String::from_utf8_lossy(payload).into_owned();
        self.received.drain(..start + length);
        Some(text)
    }
}

/// The opcodes of RFC 6455 §5.2 that are used here, and the bit of a frame that ends its message.
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const FIN: u8 = 0x80;

impl Writing {
    pub(crate) async fn say(&mut self, text: &str) {
        let mut frames = Vec::new();
        frame(&mut frames, FIN | TEXT, text.as_bytes());
        self.raw(&frames).await;
    }

    /// Says it in frames of one byte each.
    pub(crate) async fn say_in_crumbs(&mut self, text: &str) {
        let (mut frames, last) = (Vec::new(), text.len() - 1);
        for (index, byte) in text.bytes().enumerate() {
            let kind = if index == 0 { TEXT } else { CONTINUATION };
            let end = if index == last { FIN } else { 0 };
            frame(&mut frames, end | kind, &[byte]);
        }
        self.raw(&frames).await;
    }

    /// Says it so often, in one write.
    pub(crate) async fn say_often(&mut self, text: &str, times: usize) {
        let mut frames = Vec::new();
        for _ in 0..times {
            frame(&mut frames, FIN | TEXT, text.as_bytes());
        }
        self.raw(&frames).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        // Whoever floods may be thrown out; whoever is measured notices that nothing comes.
        let _ = self.0.write_all(bytes).await;
    }
}

/// Adds a masked frame; the mask of zeros is one as good as any other to whoever has to undo it.
fn frame(frames: &mut Vec<u8>, head: u8, payload: &[u8]) {
    let length = u16::try_from(payload.len()).unwrap();
    frames.push(head);
    if length < 126 {
        frames.push(0x80 | length as u8);
    } else {
        frames.push(0x80 | 126);
        frames.extend_from_slice(&length.to_be_bytes());
    }
    frames.extend_from_slice(&[0; 4]);
    frames.extend_from_slice(payload);
}

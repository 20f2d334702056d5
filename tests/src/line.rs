//! A client's connection to a server, over UDP or TCP, as whole messages: what is sent is exactly what the caller says.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Over what a client speaks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// One message per datagram.
    Udp,
    /// A stream of messages; ChannelData is padded (RFC 8656 §12.5).
    Tcp,
}

/// What came.
#[derive(Debug)]
pub enum Received {
    /// One STUN message or one ChannelData message, without its padding.
    Message(Vec<u8>),
    /// Nothing within the time.
    Silence,
    /// The server has ended the connection.
    Closed,
}

/// An open connection.
#[derive(Debug)]
pub struct Line {
    socket: Socket,
    waiting: VecDeque<Vec<u8>>,
    partial: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Line {
    /// Opens a connection from a free port of `from`'s address, or from exactly its port if it names one.
    ///
    /// # Errors
    /// When there is no socket to be had or nobody accepts.
    pub fn open(transport: Transport, from: SocketAddr, server: SocketAddr) -> Result<Self> {
        let socket = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind(from)?;
                socket.connect(server)?;
                Socket::Udp(socket)
            }
            Transport::Tcp => {
                let stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))
                    .with_context(|| format!("nobody accepts at {server}"))?;
                stream.set_nodelay(true)?;
                Socket::Tcp(stream)
            }
        };
        Ok(Self {
            socket,
            waiting: VecDeque::new(),
            partial: Vec::new(),
        })
    }

    /// Tells the client's own address.
    ///
    /// # Errors
    /// When the socket does not know it.
    pub fn local(&self) -> Result<SocketAddr> {
        Ok(match &self.socket {
            Socket::Udp(socket) => socket.local_addr()?,
            Socket::Tcp(stream) => stream.local_addr()?,
        })
    }

    /// Sends these bytes; that the server has closed the connection is found out by reading.
    pub fn send(&mut self, bytes: &[u8]) {
        match &mut self.socket {
            Socket::Udp(socket) => drop(socket.send(bytes)),
            Socket::Tcp(stream) => drop(stream.write_all(bytes)),
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// When the socket fails in a way that says nothing about the server.
    pub fn receive(&mut self, within: Duration) -> Result<Received> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Received::Message(message));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Received::Silence);
            }
            match self.read(left.max(Duration::from_millis(1))) {
                Ok(0) => return Ok(Received::Closed),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        return Ok(Received::Closed);
                    }
                    _ => return Err(error).context("the connection to the server"),
                },
            }
        }
    }

    fn read(&mut self, within: Duration) -> std::io::Result<usize> {
        let mut buffer = vec![0_u8; 65_536];
        match &mut self.socket {
            Socket::Udp(socket) => {
                socket.set_read_timeout(Some(within))?;
                let length = socket.recv(&mut buffer)?;
                self.waiting.push_back(buffer[..length].to_vec());
                Ok(length.max(1))
            }
            Socket::Tcp(stream) => {
                stream.set_read_timeout(Some(within))?;
                let length = stream.read(&mut buffer)?;
                self.partial.extend_from_slice(&buffer[..length]);
                while let Some((message, whole)) = frame(&self.partial) {
                    self.waiting.push_back(self.partial[..message].to_vec());
                    self.partial.drain(..whole);
                }
                Ok(length)
            }
        }
    }
}

/// Finds the first message of a stream: its length without padding and with it.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let header: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let message = if header[0] < 0x40 {
        20 + length
    } else {
        4 + length
    };
    let whole = message.next_multiple_of(4);
    (bytes.len() >= whole).then_some((message, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_where_messages_end() {
        let binding = [
            0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(frame(&binding), None);
        assert_eq!(frame(&[binding.as_slice(), &[0]].concat()), Some((20, 20)));
        assert_eq!(frame(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5]), None);
        assert_eq!(
            frame(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]),
            Some((9, 12))
        );
    }
}

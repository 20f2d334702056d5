//! A Binding request to a STUN server outside (RFC 8489 §7), as the client that a server behind a NAT is.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use turn_config::settings::External;
use turn_wire::{Class, Method, Packet, RequestBuilder, TransactionId, attr};

use crate::relay_config::random_bytes;

/// How long each of the tries is waited for (RFC 8489 §6.2.1, cut short: it is asked again soon).
const WAITS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
];

/// Asks for each local address the first server of its family.
///
/// # Errors
/// What is wrong with the last one, if there is no answer for any.
pub(super) fn ask_each(
    servers: &[SocketAddr],
    local: impl Iterator<Item = IpAddr>,
) -> io::Result<Vec<External>> {
    let (mut found, mut failed) = (Vec::new(), None);
    for local in local {
        let same = |server: &&SocketAddr| server.is_ipv4() == local.is_ipv4();
        let Some(server) = servers.iter().find(same) else {
            continue;
        };
        match ask(*server, local) {
            Ok(public) => found.push(External {
                public,
                private: Some(local),
            }),
            Err(error) => failed = Some(io::Error::new(error.kind(), format!("{server}: {error}"))),
        }
    }
    match failed {
        Some(error) if found.is_empty() => Err(error),
        None if found.is_empty() => Err(io::Error::other(
            "it has no address of a relay address's family",
        )),
        _ => Ok(found),
    }
}

/// Asks a server from a local address.
fn ask(server: SocketAddr, local: IpAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((local, 0))?;
    // From then on, nobody else is heard, and an ICMP error ends the wait.
    socket.connect(server)?;
    let id: TransactionId = random_bytes().map_err(io::Error::other)?;
    let request = RequestBuilder::new(Method::BINDING, id).finish(None, true);
    for wait in WAITS {
        socket.send(&request)?;
        let deadline = Instant::now() + wait;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut answer = [0; 1500];
            let length = match socket.recv(&mut answer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            let answer = answer.get(..length).unwrap_or_default();
            if let Some(mapped) = mapped(answer, id) {
                return Ok(mapped);
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
}

/// What a success response to this request says of us.
fn mapped(answer: &[u8], id: TransactionId) -> Option<IpAddr> {
    let Ok(Packet::Stun(message)) = turn_wire::parse(answer) else {
        return None;
    };
    let is_meant = message.class() == Class::Success
        && message.method() == Method::BINDING
        && message.transaction_id() == id;
    let mapped = message.xor_address(attr::XOR_MAPPED_ADDRESS)?.ip();
    (is_meant && !mapped.is_unspecified() && !mapped.is_multicast()).then_some(mapped)
}

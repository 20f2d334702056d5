//! TCP listeners of the control plane: bound before anything runs, so that a busy port is known at once.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds a listener; an IPv6 one takes IPv6 only, so that both families can listen on one port.
///
/// # Errors
/// Names the address, what the system says, and the flag that changes it.
pub(crate) fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    open(address).with_context(|| {
        format!("cannot listen on tcp {address}; choose another address or port with {flag}")
    })
}

/// Binds a port on all addresses of both families; a machine without IPv6 is content with IPv4.
///
/// # Errors
/// Like [`bind`], when IPv4 fails, or IPv6 for another reason than not being there.
pub(crate) fn bind_everywhere(port: u16, flag: &str) -> anyhow::Result<Vec<TcpListener>> {
    let v4 = bind(SocketAddr::from(([0, 0, 0, 0], port)), flag)?;
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, v4.local_addr()?.port()));
    match open(v6) {
        Ok(v6) => Ok(vec![v4, v6]),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(error)
            .with_context(|| format!("cannot listen on tcp {v6}; choose another port with {flag}")),
        Err(_) => Ok(vec![v4]),
    }
}

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the last connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::{bind, bind_everywhere};

    #[test]
    fn a_busy_port_is_an_error_that_names_the_flag() {
        let held = bind("127.0.0.1:0".parse().unwrap(), "--http-listen").unwrap();
        let address = held.local_addr().unwrap();
        let error = format!("{:#}", bind(address, "--http-listen").unwrap_err());
        assert!(
            error.contains(&address.to_string()) && error.contains("--http-listen"),
            "{error}"
        );
        assert!(bind_everywhere(address.port(), "--http-listen").is_err());
    }
}

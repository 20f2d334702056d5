//! One system call per packet, for systems and sandboxes without the batched calls. Traffic classes are neither read nor set.
#![allow(unsafe_code)]

use std::{
    io,
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddr},
    os::fd::BorrowedFd,
};

use socket2::SockRef;

use crate::{Outgoing, arena::Received};

pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    // SAFETY: bytes are valid as possibly uninitialised bytes, and the call below only writes initialised ones into them.
    let buffer = unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) };
    let (length, from) = retry_interrupted(|| {
        SockRef::from(&socket).recv_from_with_flags(buffer, libc::MSG_DONTWAIT)
    })?;
    // Other than IP can't be: the caller opened the socket. If it does, no one has this address.
    let from = from.as_socket().map_or(
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        without_flow_label,
    );
    Ok(Received {
        length,
        each: length,
        from,
        traffic_class: 0,
    })
}

pub(crate) fn send(socket: BorrowedFd<'_>, packet: &Outgoing<'_>) -> io::Result<usize> {
    let to = packet.to.into();
    retry_interrupted(|| {
        SockRef::from(&socket).send_to_with_flags(packet.bytes, &to, libc::MSG_DONTWAIT)
    })
}

/// Two packets of one sender must give equal addresses.
fn without_flow_label(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_flowinfo(0);
    }
    address
}

fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

//! ICMP errors about packets that a socket has sent, from the socket's error queue (`IP_RECVERR`).
//!
//! The kernel has checked that the packet in the error is one of this socket's. Errors that this machine found by itself are
//! left out: no ICMP packet tells of them, and the call that sent the packet has failed.
#![allow(unsafe_code)]

use std::{io, net::SocketAddr, os::fd::BorrowedFd};

/// An ICMP error about a packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Where the packet was going.
    pub to: SocketAddr,
    /// The ICMP type, of ICMPv4 or ICMPv6 as the address says.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// What the type has besides: the next MTU, where the packet was too big for it.
    pub info: u32,
}

/// Takes the oldest ICMP error off a socket that was asked to tell them; `None` when there is none. Linux only: elsewhere
/// there is never one.
///
/// # Errors
/// When the socket has no error queue.
pub fn next_icmp_error(socket: BorrowedFd<'_>) -> io::Result<Option<IcmpError>> {
    #[cfg(target_os = "linux")]
    return linux::next(socket);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        Ok(None)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        io,
        mem::{self, MaybeUninit},
        net::SocketAddr,
        os::fd::{AsRawFd, BorrowedFd},
        ptr,
    };

    use super::IcmpError;
    use crate::{
        control::{Attribute, attributes},
        name::Name,
    };

    /// Room for the error, its sender's address, and the traffic class beside it.
    #[repr(align(8))]
    struct Control([u8; 256]);

    pub(super) fn next(socket: BorrowedFd<'_>) -> io::Result<Option<IcmpError>> {
        loop {
            let mut name = Name::default();
            let mut control = Control([0; 256]);
            let length = match receive(socket, &mut name, &mut control) {
                Ok(length) => length,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock => return Ok(None),
                    _ => return Err(error),
                },
            };
            let written = control.0.get(..length).unwrap_or_default();
            if let Some(to) = name.decode(Name::BYTES)
                && let Some(error) = attributes(written).find_map(|attribute| decode(to, attribute))
            {
                return Ok(Some(error));
            }
        }
    }

    /// Reads `struct sock_extended_err`: errno (4), origin, type, code, filler, info (4), data (4), then the sender of the error.
    fn decode(to: SocketAddr, (level, kind, value): Attribute<'_>) -> Option<IcmpError> {
        let origin = match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_RECVERR) => libc::SO_EE_ORIGIN_ICMP,
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => libc::SO_EE_ORIGIN_ICMP6,
            _ => return None,
        };
        let &[_, _, _, _, held, kind, code, _, a, b, c, d, ..] = value else {
            return None;
        };
        (held == origin).then_some(IcmpError {
            to,
            kind,
            code,
            info: u32::from_ne_bytes([a, b, c, d]),
        })
    }

    /// Receives one error without the packet that it is about; tells how many bytes of `control` were written.
    fn receive(
        socket: BorrowedFd<'_>,
        name: &mut Name,
        control: &mut Control,
    ) -> io::Result<usize> {
        // SAFETY: a C struct of integers and pointers, for which zeroes are a value.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_name = ptr::from_mut(name).cast();
        header.msg_namelen = Name::BYTES;
        header.msg_control = ptr::from_mut(control).cast();
        header.msg_controllen = mem::size_of::<Control>() as _;
        // SAFETY: the header leads to one address and one control buffer, alive, borrowed mutably and of the stated lengths; it
        // has no vector, so that the packet's own bytes go nowhere.
        let received = unsafe {
            libc::recvmsg(
                socket.as_raw_fd(),
                &raw mut header,
                libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
            )
        };
        if received < 0 {
            return Err(io::Error::last_os_error());
        }
        #[allow(
            clippy::unnecessary_cast,
            reason = "C libraries differ in the type of this length"
        )]
        Ok(header.msg_controllen as usize)
    }
}

//! What a socket is asked to tell about packets, and whether its packets may be fragmented.
//!
//! Linux only: elsewhere the two requests do nothing, so that no traffic class and no error is ever told, and forbidding
//! fragments fails.
#![allow(unsafe_code)]

use std::{io, os::fd::BorrowedFd};

/// The IP version of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6 alone.
    V6,
}

/// Asks for the traffic class (DSCP and ECN) of received packets.
///
/// # Errors
/// When the system refuses.
pub fn tell_traffic_class(socket: BorrowedFd<'_>, version: IpVersion) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return match version {
        IpVersion::V4 => linux::set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1),
        IpVersion::V6 => linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1),
    };
    #[cfg(not(target_os = "linux"))]
    return Ok(());
}

/// Asks for ICMP errors about packets that were sent, for `next_icmp_error`.
///
/// # Errors
/// When the system refuses.
pub fn tell_icmp_errors(socket: BorrowedFd<'_>, version: IpVersion) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return match version {
        IpVersion::V4 => linux::set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        IpVersion::V6 => linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    };
    #[cfg(not(target_os = "linux"))]
    return Ok(());
}

/// Asks for trains: datagrams of one sender and one length, with one IP header's fields, that came close together are received as one
/// ([`crate::Arena::datagrams`]). Only for sockets that an arena of [`crate::Backend::Batched`] reads: others cannot tell a train
/// from a long datagram.
///
/// # Errors
/// When the system refuses, or has no trains: each datagram comes alone then.
pub fn take_trains(socket: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return linux::set(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Says whether packets may be fragmented, here and (IPv4) on their way. Sockets that were not told otherwise may set DF as
/// they please.
///
/// Forbidding is `PROBE`: DF is set, and what the kernel believes of the path does not matter, since whoever asks for it
/// probes the path. Allowing is `OMIT` for IPv4: DF is not set, and errors about packets that were sent with it are still
/// told, which `DONT` would keep back.
///
/// # Errors
/// When the system refuses.
pub fn may_fragment(socket: BorrowedFd<'_>, version: IpVersion, may: bool) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return match version {
        IpVersion::V4 => {
            let how = if may {
                libc::IP_PMTUDISC_OMIT
            } else {
                libc::IP_PMTUDISC_PROBE
            };
            linux::set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how)
        }
        IpVersion::V6 => {
            let how = if may {
                libc::IPV6_PMTUDISC_WANT
            } else {
                libc::IPV6_PMTUDISC_PROBE
            };
            linux::set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, how)
        }
    };
    #[cfg(not(target_os = "linux"))]
    return if may {
        Ok(())
    } else {
        Err(io::ErrorKind::Unsupported.into())
    };
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        io,
        os::fd::{AsRawFd, BorrowedFd},
    };

    use libc::c_int;

    pub(super) fn set(
        socket: BorrowedFd<'_>,
        level: c_int,
        name: c_int,
        value: c_int,
    ) -> io::Result<()> {
        // SAFETY: the value is an integer that lives through the call, and its length is stated; the kernel only reads it.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<c_int>() as libc::socklen_t,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        net::UdpSocket,
        os::fd::{AsFd, AsRawFd},
    };

    use super::{IpVersion, may_fragment, tell_icmp_errors, tell_traffic_class};

    fn value(socket: &UdpSocket, level: i32, name: i32) -> i32 {
        let (mut value, mut length) = (-1_i32, size_of::<i32>() as libc::socklen_t);
        // SAFETY: the kernel writes an integer and its length, both alive.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                level,
                name,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        assert_eq!(result, 0);
        value
    }

    #[test]
    fn each_request_sets_the_option_of_its_version() {
        let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        tell_traffic_class(v4.as_fd(), IpVersion::V4).unwrap();
        tell_icmp_errors(v4.as_fd(), IpVersion::V4).unwrap();
        let of = |name| value(&v4, libc::IPPROTO_IP, name);
        assert_eq!((of(libc::IP_RECVTOS), of(libc::IP_RECVERR)), (1, 1));
        let v6 = UdpSocket::bind("[::1]:0").unwrap();
        tell_traffic_class(v6.as_fd(), IpVersion::V6).unwrap();
        tell_icmp_errors(v6.as_fd(), IpVersion::V6).unwrap();
        let of = |name| value(&v6, libc::IPPROTO_IPV6, name);
        assert_eq!((of(libc::IPV6_RECVTCLASS), of(libc::IPV6_RECVERR)), (1, 1));
    }

    #[test]
    fn fragments_are_forbidden_and_allowed_again() {
        let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let v6 = UdpSocket::bind("[::1]:0").unwrap();
        for (may, on_v4, on_v6) in [
            (false, libc::IP_PMTUDISC_PROBE, libc::IPV6_PMTUDISC_PROBE),
            (true, libc::IP_PMTUDISC_OMIT, libc::IPV6_PMTUDISC_WANT),
        ] {
            may_fragment(v4.as_fd(), IpVersion::V4, may).unwrap();
            may_fragment(v6.as_fd(), IpVersion::V6, may).unwrap();
            let held = value(&v4, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
            assert_eq!(held, on_v4);
            let held = value(&v6, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
            assert_eq!(held, on_v6);
        }
    }
}

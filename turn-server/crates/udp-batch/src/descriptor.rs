//! Descriptors that the process was started with, known by their numbers alone.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// Opens a second descriptor for what this number stands for, closed on exec. Whoever owns the first goes on owning it.
///
/// # Errors
/// When the number stands for nothing, or no descriptor is left.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers, and fails with EBADF for one that is not open.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if duplicate < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsRawFd};

    use super::duplicate;

    #[test]
    fn a_duplicate_outlives_the_first_and_a_number_of_nothing_is_refused() {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let second = UdpSocket::from(duplicate(first.as_raw_fd()).unwrap());
        drop(first);
        assert_eq!(second.local_addr().unwrap(), address);
        assert!(duplicate(-1).is_err());
    }
}

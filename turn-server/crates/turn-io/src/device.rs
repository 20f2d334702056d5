//! Network interfaces that sockets are held to (SO_BINDTODEVICE): only what comes in there is taken, and everything leaves there.

use std::io;

use socket2::{Domain, Protocol, Socket, Type};

/// The longest name that the kernel gives (IFNAMSIZ, with the zero at its end, is 16).
const LONGEST: usize = 15;

/// An interface, or any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    name: [u8; LONGEST],
    /// Zero where any will do.
    length: usize,
}

impl Device {
    /// Finds an interface by its name.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is none; what the kernel says when sockets cannot be held to it.
    pub fn find(name: &str) -> io::Result<Self> {
        let mut device = Self {
            length: name.len(),
            ..Self::default()
        };
        let place = device.name.get_mut(..name.len());
        let place = place.filter(|place| !place.is_empty());
        place
            .ok_or(io::ErrorKind::NotFound)?
            .copy_from_slice(name.as_bytes());
        device.hold(&Socket::new(
            Domain::IPV4,
            Type::DGRAM,
            Some(Protocol::UDP),
        )?)?;
        Ok(device)
    }

    /// Holds a socket to it.
    pub(crate) fn hold(&self, socket: &Socket) -> io::Result<()> {
        let Some(name) = self.name.get(..self.length).filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        match held(socket, name) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
                Err(io::ErrorKind::NotFound.into())
            }
            held => held,
        }
    }
}

#[cfg(target_os = "linux")]
fn held(socket: &Socket, name: &[u8]) -> io::Result<()> {
    socket.bind_device(Some(name))
}

#[cfg(not(target_os = "linux"))]
fn held(_: &Socket, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::ErrorKind;

    use socket2::{Domain, Socket, Type};

    use super::Device;

    #[test]
    fn a_socket_is_held_to_an_interface_that_is_there() {
        let socket = || Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let held = socket();
        Device::find("lo").unwrap().hold(&held).unwrap();
        assert_eq!(held.device().unwrap().as_deref(), Some(&b"lo"[..]));
        let free = socket();
        Device::default().hold(&free).unwrap();
        assert_eq!(free.device().unwrap(), None);
        for none in ["", "nonesuch0", "a-name-of-16-char"] {
            assert_eq!(
                Device::find(none).unwrap_err().kind(),
                ErrorKind::NotFound,
                "{none}"
            );
        }
    }
}

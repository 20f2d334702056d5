//! The bytes of one connection, in and out. TLS will be a second kind of them: what is above sees plain bytes either way.

use std::io::{self, IoSlice, Read, Write};

use mio::net::TcpStream;

/// The two directions of a connection; neither ever blocks.
pub(crate) struct Bytes {
    socket: TcpStream,
}

impl Bytes {
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self { socket }
    }

    /// Reads what there is; `Ok(0)` is the end of the stream.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        retry_interrupted(|| self.socket.read(into))
    }

    /// Writes as much as fits at the moment, zero when nothing does.
    pub(crate) fn write(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        match retry_interrupted(|| self.socket.write_vectored(from)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }
}

fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

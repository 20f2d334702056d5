//! Bound sockets kept for reservations (EVEN-PORT with its R bit set, RFC 8656 §7.2), shared by all workers: the one that
//! takes a reservation up need not be the one that made it.
//!
//! Touched when relay sockets are bound, never by a relayed packet.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use socket2::Socket;

/// The table, by bound address. What nobody takes up or releases is closed with the last worker.
#[derive(Clone, Default)]
pub(crate) struct KeptSockets(Arc<Mutex<HashMap<SocketAddr, Socket>>>);

impl KeptSockets {
    pub(crate) fn keep(&self, local: SocketAddr, socket: Socket) {
        self.with(|kept| kept.insert(local, socket));
    }

    /// Gives the socket that is kept on an address; dropping it closes it.
    pub(crate) fn take(&self, local: SocketAddr) -> Option<Socket> {
        self.with(|kept| kept.remove(&local))
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<SocketAddr, Socket>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

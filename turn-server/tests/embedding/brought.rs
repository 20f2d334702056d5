//! What programs may bring along: conns that fail, generators that are slow, odd, or keep a hand on what they gave.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use tokio::{
    net::UdpSocket,
    sync::{Mutex, Semaphore},
};
use turn::{
    Error,
    relay::{RelayAddressGenerator, relay_none::RelayAddressGeneratorNone},
};
use webrtc_util::{Conn, vnet::net::Net};

use crate::network::SharedConn;

/// A conn whose reads fail, now and then or for good.
pub(crate) struct Failing {
    pub(crate) inner: SharedConn,
    pub(crate) broken: Arc<AtomicBool>,
}

#[async_trait]
impl Conn for Failing {
    async fn connect(&self, to: SocketAddr) -> webrtc_util::Result<()> {
        self.inner.connect(to).await
    }
    async fn recv(&self, buf: &mut [u8]) -> webrtc_util::Result<usize> {
        self.inner.recv(buf).await
    }
    async fn recv_from(&self, buf: &mut [u8]) -> webrtc_util::Result<(usize, SocketAddr)> {
        let received = self.inner.recv_from(buf).await?;
        if self.broken.load(Ordering::Relaxed) {
            let refused = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            return Err(refused.into());
        }
        Ok(received)
    }
    async fn send(&self, buf: &[u8]) -> webrtc_util::Result<usize> {
        self.inner.send(buf).await
    }
    async fn send_to(&self, buf: &[u8], to: SocketAddr) -> webrtc_util::Result<usize> {
        self.inner.send_to(buf, to).await
    }
    fn local_addr(&self) -> webrtc_util::Result<SocketAddr> {
        self.inner.local_addr()
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        self.inner.remote_addr()
    }
    async fn close(&self) -> webrtc_util::Result<()> {
        self.inner.close().await
    }
    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

/// A generator that keeps a hand on its conns.
pub(crate) struct Keeping {
    pub(crate) inner: RelayAddressGeneratorNone,
    pub(crate) kept: Arc<Mutex<Vec<SharedConn>>>,
}

#[async_trait]
impl RelayAddressGenerator for Keeping {
    fn validate(&self) -> Result<(), Error> {
        self.inner.validate()
    }

    async fn allocate_conn(
        &self,
        use_ipv4: bool,
        port: u16,
    ) -> Result<(SharedConn, SocketAddr), Error> {
        let (conn, relayed) = self.inner.allocate_conn(use_ipv4, port).await?;
        self.kept.lock().await.push(Arc::clone(&conn));
        Ok((conn, relayed))
    }
}

/// A generator that waits for permission.
pub(crate) struct Slow {
    pub(crate) inner: RelayAddressGeneratorNone,
    pub(crate) gate: Arc<Semaphore>,
}

#[async_trait]
impl RelayAddressGenerator for Slow {
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn allocate_conn(
        &self,
        use_ipv4: bool,
        port: u16,
    ) -> Result<(SharedConn, SocketAddr), Error> {
        self.gate.acquire().await.unwrap().forget();
        self.inner.allocate_conn(use_ipv4, port).await
    }
}

/// A generator that has odd ports alone, and fails at last.
pub(crate) struct Odd {
    pub(crate) net: Arc<Net>,
    pub(crate) asked: Arc<AtomicUsize>,
}

#[async_trait]
impl RelayAddressGenerator for Odd {
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn allocate_conn(&self, _: bool, _: u16) -> Result<(SharedConn, SocketAddr), Error> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= 400 {
            return Err(Error::ErrMaxRetriesExceeded);
        }
        for port in (50_001..60_000).step_by(2) {
            let address = SocketAddr::new([1, 2, 3, 4].into(), port);
            if let Ok(conn) = self.net.bind(address).await {
                return Ok((conn, address));
            }
        }
        Err(Error::ErrMaxRetriesExceeded)
    }
}

/// A generator for the loopback addresses of both families.
pub(crate) struct Loopback;

#[async_trait]
impl RelayAddressGenerator for Loopback {
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn allocate_conn(&self, v4: bool, port: u16) -> Result<(SharedConn, SocketAddr), Error> {
        let ip: IpAddr = if v4 {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        let socket = UdpSocket::bind((ip, port)).await?;
        let address = socket.local_addr()?;
        Ok((Arc::new(socket), address))
    }
}

//! A virtual network with a server in it, ours or the crate's, and users who are believed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc};
use turn::{
    Error,
    allocation::{AllocationInfo, five_tuple::FiveTuple},
    auth::{AuthHandler, generate_auth_key},
    relay::{RelayAddressGenerator, relay_none::RelayAddressGeneratorNone},
    server::config::{ConnConfig, ServerConfig},
};
use webrtc_util::{
    Conn,
    vnet::{
        nat::{EndpointDependencyType, NatType},
        net::{Net, NetConfig},
        router::{Nic, Router, RouterConfig},
    },
};

use crate::client::Client;

pub(crate) const REALM: &str = "webrtc.rs";
pub(crate) const SERVER: &str = "1.2.3.4:3478";
pub(crate) const PEER_IP: &str = "1.2.3.5";
const CLIENT_IP: &str = "1.2.3.6";
/// The address of the NAT in front of 192.168.0.0/24.
pub(crate) const NAT_IP: &str = "5.6.7.8";

pub(crate) type SharedConn = Arc<dyn Conn + Send + Sync>;

/// Believes everybody whose password is `pass`, except mallory.
pub(crate) struct Pass;

impl AuthHandler for Pass {
    fn auth_handle(&self, user: &str, realm: &str, _: SocketAddr) -> Result<Vec<u8>, Error> {
        match user {
            "mallory" => Err(Error::ErrNoSuchUser),
            _ => Ok(generate_auth_key(user, realm, "pass")),
        }
    }
}

/// A server of either make.
pub(crate) enum Running {
    Ours(turn_server::Server),
    Theirs(turn::server::Server),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Ours,
    Theirs,
}

impl Running {
    pub(crate) async fn start(make: Make, config: ServerConfig) -> Result<Self, Error> {
        Ok(match make {
            Make::Ours => Self::Ours(turn_server::Server::new(config).await?),
            Make::Theirs => Self::Theirs(turn::server::Server::new(config).await?),
        })
    }

    pub(crate) async fn infos(&self) -> Vec<AllocationInfo> {
        let all: Option<Vec<FiveTuple>> = None;
        let infos = match self {
            Self::Ours(server) => server.get_allocations_info(all).await,
            Self::Theirs(server) => server.get_allocations_info(all).await,
        };
        infos.unwrap().into_values().collect()
    }
}

/// Routers and hosts: a server, a peer and a client with public addresses, and a host behind a NAT.
pub(crate) struct Network {
    pub(crate) wan: Arc<Mutex<Router>>,
    pub(crate) server: Arc<Net>,
    pub(crate) peer: Arc<Net>,
    pub(crate) client: Arc<Net>,
    pub(crate) inside: Arc<Net>,
}

impl Network {
    pub(crate) async fn new() -> Self {
        let wan = router(RouterConfig {
            cidr: "0.0.0.0/0".to_owned(),
            ..RouterConfig::default()
        });
        let lan = router(RouterConfig {
            cidr: "192.168.0.0/24".to_owned(),
            static_ip: NAT_IP.to_owned(),
            nat_type: Some(NatType {
                mapping_behavior: EndpointDependencyType::EndpointIndependent,
                filtering_behavior: EndpointDependencyType::EndpointAddrPortDependent,
                mapping_life_time: Duration::from_secs(30),
                ..NatType::default()
            }),
            ..RouterConfig::default()
        });
        let network = Self {
            server: host(&wan, "1.2.3.4").await,
            peer: host(&wan, PEER_IP).await,
            client: host(&wan, CLIENT_IP).await,
            inside: host(&lan, "192.168.0.2").await,
            wan: Arc::clone(&wan),
        };
        wan.lock().await.add_router(Arc::clone(&lan)).await.unwrap();
        lan.lock().await.set_router(Arc::clone(&wan)).await.unwrap();
        wan.lock().await.start().await.unwrap();
        network
    }

    pub(crate) async fn listen(&self) -> SharedConn {
        self.server
            .bind("0.0.0.0:3478".parse().unwrap())
            .await
            .unwrap()
    }

    /// Relays on the server's address, on ports that the network chooses.
    pub(crate) fn generator(&self) -> RelayAddressGeneratorNone {
        RelayAddressGeneratorNone {
            address: "1.2.3.4".to_owned(),
            net: Arc::clone(&self.server),
        }
    }

    /// A peer's conn.
    pub(crate) async fn peer_at(&self, port: u16) -> SharedConn {
        let address = format!("{PEER_IP}:{port}").parse().unwrap();
        self.peer.bind(address).await.unwrap()
    }

    /// A client with a public address.
    pub(crate) async fn client(&self, user: &str, password: &str) -> Client {
        let conn = self
            .client
            .bind("0.0.0.0:0".parse().unwrap())
            .await
            .unwrap();
        Client::new(conn, SERVER.parse().unwrap(), user, password)
    }
}

fn router(config: RouterConfig) -> Arc<Mutex<Router>> {
    Arc::new(Mutex::new(Router::new(config).unwrap()))
}

async fn host(router: &Arc<Mutex<Router>>, ip: &str) -> Arc<Net> {
    let net = Arc::new(Net::new(Some(NetConfig {
        static_ip: ip.to_owned(),
        ..NetConfig::default()
    })));
    let nic = net.get_nic().unwrap();
    router.lock().await.add_net(Arc::clone(&nic)).await.unwrap();
    nic.lock()
        .await
        .set_router(Arc::clone(router))
        .await
        .unwrap();
    net
}

/// A configuration as programs make it for the crate.
pub(crate) fn config(
    conn: SharedConn,
    generator: impl RelayAddressGenerator + Send + Sync + 'static,
) -> ServerConfig {
    ServerConfig {
        conn_configs: vec![ConnConfig {
            conn,
            relay_addr_generator: Box::new(generator),
        }],
        realm: REALM.to_owned(),
        auth_handler: Arc::new(Pass),
        channel_bind_timeout: Duration::ZERO,
        alloc_close_notify: None,
    }
}

/// A network and a server in it.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) server: Running,
}

impl World {
    pub(crate) async fn new(make: Make) -> Self {
        Self::with(make, |_| {}).await
    }

    pub(crate) async fn with(make: Make, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let network = Network::new().await;
        let mut config = config(network.listen().await, network.generator());
        change(&mut config);
        let server = Running::start(make, config).await.unwrap();
        Self { network, server }
    }

    pub(crate) async fn notifying(
        make: Make,
        capacity: usize,
    ) -> (Self, mpsc::Receiver<AllocationInfo>) {
        let (notify, news) = mpsc::channel(capacity);
        let world = Self::with(make, |config| config.alloc_close_notify = Some(notify)).await;
        (world, news)
    }

    pub(crate) async fn client(&self, user: &str) -> Client {
        self.network.client(user, "pass").await
    }
}

/// Receives a datagram, if one comes within a virtual second.
pub(crate) async fn receive(conn: &SharedConn) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buf = vec![0; 65_535];
    let received = tokio::time::timeout(Duration::from_secs(1), conn.recv_from(&mut buf)).await;
    let (length, from) = received.ok()?.unwrap();
    Some((buf[..length].to_vec(), from))
}

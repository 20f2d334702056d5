//! A listener of the control plane whose clients speak TLS (`prometheus-tls`): from the port through the handshake to the routes.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use signaling::server::Site;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;
use turn_io::Tls;

/// Handshakes under way at a time; whoever comes meanwhile waits in the listener.
const HANDSHAKES: usize = 64;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nobody is accepted after the system refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What new connections are shown.
#[derive(Debug)]
pub(crate) struct Certificate(watch::Sender<Arc<ServerConfig>>);

impl Certificate {
    /// Begins with this one.
    pub(crate) fn new(tls: &Tls) -> Self {
        Self(watch::Sender::new(tls.server_config()))
    }

    /// Shows another one from now on; open connections keep theirs.
    pub(crate) fn renew(&self, tls: &Tls) {
        self.0.send_replace(tls.server_config());
    }

    /// Follows it.
    pub(crate) fn shown(&self) -> Shown {
        Shown(self.0.subscribe())
    }
}

/// The certificate as it is at the moment.
#[derive(Clone)]
pub(crate) struct Shown(watch::Receiver<Arc<ServerConfig>>);

/// Serves whoever connects and comes through the handshake, until the site stops.
pub(crate) async fn serve(listener: TcpListener, shown: Shown, site: Site) {
    let (sink, shaken) = mpsc::channel(HANDSHAKES);
    let accepting = accept(listener, shown, sink);
    let serving = site.take_over(shaken, |(stream, client)| Ok((stream, Some(client))));
    tokio::select! {
        // It ends with the site, whose requests under way are answered by then.
        () = serving => {}
        () = accepting => {}
    }
}

type Shaken = (TlsStream<TcpStream>, SocketAddr);

/// Accepts for ever.
async fn accept(listener: TcpListener, shown: Shown, sink: mpsc::Sender<Shaken>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!("nobody is accepted at the moment: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&shown.0.borrow()));
        let sink = sink.clone();
        tokio::spawn(async move {
            match timeout(PATIENCE, acceptor.accept(stream)).await {
                // An error means that the site has stopped.
                Ok(Ok(stream)) => drop(sink.send((stream, client)).await),
                Ok(Err(error)) => debug!("no TLS with {client}: {error}"),
                Err(_) => debug!("no TLS with {client}: {}", io::ErrorKind::TimedOut),
            }
            drop(place);
        });
    }
}

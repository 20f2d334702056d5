//! HTTPS on the ports for TLS: the way of a connection from a worker, which has found out that it speaks HTTP, to the routes.

use std::{io, net::SocketAddr, sync::Arc};

use ice_api::is_loopback;
use signaling::server::Site;
use tokio::sync::mpsc;
use turn_io::{Guest, GuestHook};

use crate::secure_stream::SecureStream;

/// Connections that may wait for the control plane's attention; more are closed.
const WAITING: usize = 256;

/// Connections on their way.
pub(crate) struct Guests(mpsc::Receiver<Guest>);

impl Guests {
    /// Opens the way: workers hand connections over to the hook.
    pub(crate) fn open() -> (GuestHook, Guests) {
        let (sink, guests) = mpsc::channel(WAITING);
        let hook = move |guest| sink.try_send(guest).is_ok();
        (Arc::new(hook), Guests(guests))
    }

    /// Serves them, as connections of a listener.
    pub(crate) async fn serve(self, site: Site) {
        site.take_over(self.0, open).await;
    }
}

fn open(guest: Guest) -> io::Result<(SecureStream, Option<SocketAddr>)> {
    let client = believed(guest.client, guest.proxied);
    Ok((SecureStream::new(guest)?, client))
}

/// The client, if it is known for certain. To come from this machine is a right, which no proxy can give: it may stand on this
/// machine itself and have named nobody, and a header is as easily written as a field of HTTP.
fn believed(client: SocketAddr, proxied: bool) -> Option<SocketAddr> {
    Some(client).filter(|client| !(proxied && is_loopback(client.ip())))
}

#[cfg(test)]
mod tests {
    use super::believed;

    #[test]
    fn a_proxy_makes_nobody_local() {
        let [far, near] = ["192.0.2.7:5", "[::ffff:127.0.0.1]:5"].map(|text| text.parse().unwrap());
        assert_eq!(believed(near, false), Some(near));
        assert_eq!(believed(far, true), Some(far));
        assert_eq!(believed(near, true), None);
    }
}

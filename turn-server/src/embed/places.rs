//! Where relays are: what the program's `RelayAddressGenerator` is asked, and what its answers mean.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use turn::relay::RelayAddressGenerator;
use turn_proto::BindFailure;

use super::core::SharedConn;

/// The program's generator.
pub(crate) type SharedGenerator = Arc<dyn RelayAddressGenerator + Send + Sync>;

/// How long a generator may take. A client has given up by then: its last retransmission is sent after 31.5 s, and
/// answers 8 s after that are lost on it (RFC 8489 §6.2.1).
const PATIENCE: Duration = Duration::from_secs(40);

/// Pairs that are tried before the state machine is told, which asks some eight times: every other port is odd, so that fewer
/// than 2⁻³² of all requests are refused although there are pairs.
const PAIR_TRIES: usize = 4;

/// A conn and its addresses.
pub(super) struct Place {
    pub(super) conn: SharedConn,
    /// As bound.
    pub(super) local: SocketAddr,
    /// As clients are told.
    pub(super) relayed: SocketAddr,
}

/// Asks for a place, and for the one of the next port as well if a pair is wanted (RFC 8656 §7.2, EVEN-PORT).
///
/// # Errors
/// [`BindFailure::InUse`] asks to be asked again: the port is odd, or the next one is taken.
pub(super) async fn find(
    generator: &SharedGenerator,
    v4: bool,
    with_next: bool,
) -> Result<(Place, Option<Place>), BindFailure> {
    if !with_next {
        return Ok((ask(generator, v4, 0).await?, None));
    }
    for _ in 0..PAIR_TRIES {
        if let Some((first, next)) = find_pair(generator, v4).await? {
            return Ok((first, Some(next)));
        }
    }
    Err(BindFailure::InUse)
}

/// Tries one port and its neighbour.
async fn find_pair(
    generator: &SharedGenerator,
    v4: bool,
) -> Result<Option<(Place, Place)>, BindFailure> {
    let first = ask(generator, v4, 0).await?;
    // An odd port has no partner, nor has one whose neighbour is taken.
    let port = Some(first.relayed.port())
        .filter(|port| port % 2 == 0)
        .and_then(|port| port.checked_add(1));
    let next = match port {
        Some(port) => ask(generator, v4, port).await.ok(),
        None => None,
    };
    match next {
        Some(next) if Some(next.relayed.port()) == port => Ok(Some((first, next))),
        other => {
            close(&first.conn).await;
            if let Some(other) = other {
                close(&other.conn).await;
            }
            Ok(None)
        }
    }
}

/// Asks the generator, which is the program's: it may fail, hang or panic, and an allocation must not wait for ever.
async fn ask(generator: &SharedGenerator, v4: bool, port: u16) -> Result<Place, BindFailure> {
    let asked = Arc::clone(generator);
    let answer =
        tokio::spawn(
            async move { tokio::time::timeout(PATIENCE, asked.allocate_conn(v4, port)).await },
        );
    let (conn, relayed) = match answer.await {
        Ok(Ok(Ok(found))) => found,
        Ok(Ok(Err(error))) => {
            tracing::warn!(%error, "no relay address");
            return Err(meaning(&error, v4));
        }
        Ok(Err(_)) | Err(_) => {
            tracing::error!("the relay address generator panicked, or has not answered in time");
            return Err(BindFailure::Other);
        }
    };
    if relayed.is_ipv4() != v4 {
        close(&conn).await;
        return Err(BindFailure::NoSuchFamily);
    }
    let local = conn.local_addr().unwrap_or(relayed);
    Ok(Place {
        conn,
        local,
        relayed,
    })
}

/// What an error of a generator is for a client: that there is no such family here, or no room now.
fn meaning(error: &turn::Error, v4: bool) -> BindFailure {
    let kind = match error {
        turn::Error::Io(error) => Some(error.0.kind()),
        turn::Error::Util(webrtc_util::Error::Io(error)) => Some(error.0.kind()),
        _ => None,
    };
    // The crate's generators look their address up, and say in words that it is not of the family.
    let unresolved = error.to_string().contains("No available ip");
    let foreign = matches!(
        kind,
        Some(ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
    );
    if unresolved || (foreign && !v4) {
        BindFailure::NoSuchFamily
    } else {
        BindFailure::Other
    }
}

/// Closes a conn; that it is closed already is fine.
pub(super) async fn close(conn: &SharedConn) {
    if let Err(error) = conn.close().await {
        tracing::trace!(%error, "closing failed");
    }
}

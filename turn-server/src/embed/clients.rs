//! Packets from clients.

use std::{net::SocketAddr, ops::Range, sync::Arc};

use turn_proto::{Now, Output, Path};

use super::{
    closed::Patience,
    core::{Core, Job, SharedConn},
    listener::Listener,
};

/// The largest datagram that there is, headers counted in: nothing is ever cut off.
pub(super) const MAX_DATAGRAM: usize = 65_535;

/// What becomes of a packet.
enum Next {
    Nothing,
    /// The answer lies in the buffer for answers.
    Answer,
    ToPeer(SharedConn, SocketAddr, Range<usize>),
    Ask(Box<str>),
}

/// Reads what clients send until the conn is closed.
pub(super) async fn serve(listener: &Arc<Listener>) {
    let mut buf = vec![0; MAX_DATAGRAM];
    let mut answer = Vec::new();
    let mut patience = Patience::default();
    loop {
        match listener.conn.recv_from(&mut buf).await {
            Ok((length, from)) => {
                patience.restore();
                if let Some(packet) = buf.get(..length) {
                    receive(listener, &listener.path(from), packet, &mut answer).await;
                }
            }
            Err(error) => {
                if !patience.endure(&error).await {
                    return;
                }
            }
        }
    }
}

async fn receive(listener: &Arc<Listener>, path: &Path, packet: &[u8], answer: &mut Vec<u8>) {
    let (next, jobs) = listener.with(|core, now| decide(core, now, path, packet, answer));
    match next {
        Next::Nothing => {}
        Next::Answer => listener.answer(answer, path.client).await,
        Next::ToPeer(conn, to, range) => {
            if let Some(payload) = packet.get(range)
                && let Err(error) = conn.send_to(payload, to).await
            {
                tracing::trace!(%error, %to, "not sent to a peer");
            }
        }
        Next::Ask(username) => ask(listener, path, packet, username),
    }
    listener.perform(jobs).await;
}

fn decide(
    core: &mut Core,
    now: Now,
    path: &Path,
    packet: &[u8],
    answer: &mut Vec<u8>,
) -> (Next, Vec<Job>) {
    let output = core.relay.on_client(now, path, packet);
    let next = next(output, answer);
    let next = match next {
        Ok(next) => next,
        Err((relay, to, range)) => match core.conn(relay) {
            Some(conn) => Next::ToPeer(conn, to, range),
            None => Next::Nothing,
        },
    };
    (next, core.jobs())
}

/// A part of a packet that goes from a relay to a peer.
type Relayed = (turn_proto::RelayId, SocketAddr, Range<usize>);

fn next(output: Output<'_>, answer: &mut Vec<u8>) -> Result<Next, Relayed> {
    match output {
        Output::Nothing => Ok(Next::Nothing),
        Output::Reply(bytes) => {
            answer.clear();
            answer.extend_from_slice(bytes);
            Ok(Next::Answer)
        }
        // A `Conn` cannot be told whether to fragment, and those that are not sockets never do.
        Output::ToPeer {
            relay, to, range, ..
        } => Err((relay, to, range)),
        Output::NeedsKey { username } => Ok(Next::Ask(username)),
    }
}

/// Asks the program for a user's key and takes the packet up again then.
fn ask(listener: &Arc<Listener>, path: &Path, packet: &[u8], username: Box<str>) {
    let Some(admitted) = listener.keys.as_ref().and_then(|keys| keys.admit()) else {
        tracing::warn!("too many requests wait for a key: one is dropped");
        return;
    };
    let (listener, path, packet) = (Arc::clone(listener), *path, packet.to_vec());
    tokio::spawn(async move {
        let key = admitted.find(username, path.client).await;
        let mut answer = Vec::new();
        let jobs = listener.with(|core, now| {
            if core.closed {
                return Vec::new();
            }
            let output = core
                .relay
                .on_client_with_key(now, &path, &packet, key.as_deref());
            if let Output::Reply(bytes) = output {
                answer.extend_from_slice(bytes);
            }
            core.jobs()
        });
        if !answer.is_empty() {
            listener.answer(&answer, path.client).await;
        }
        listener.perform(jobs).await;
    });
}

//! Relay conns: bound by the program's generator, read by one task each.

use std::{net::SocketAddr, sync::Arc};

use turn_proto::{BindFailure, RelayId, Reply};
use turn_wire::{HEADROOM, TAILROOM};

use super::{
    clients::MAX_DATAGRAM,
    closed::Patience,
    core::{Bind, SharedConn},
    listener::Listener,
    places::{self, Place},
};

/// Gives a relay the place that is kept for it, or has one found: in a task, because that may take long.
pub(super) fn start(listener: Arc<Listener>, bind: Bind, kept: Option<Place>) {
    tokio::spawn(async move {
        match kept {
            Some(place) => attach(listener, bind, place, None).await,
            None => find(listener, bind).await,
        }
    });
}

async fn find(listener: Arc<Listener>, bind: Bind) {
    match places::find(&listener.generator, bind.name.is_ipv4(), bind.with_next).await {
        Ok((place, next)) => attach(listener, bind, place, next).await,
        Err(cause) => fail(&listener, &bind, cause).await,
    }
}

/// Gives a relay its conn, unless its allocation has ended meanwhile.
async fn attach(listener: Arc<Listener>, bind: Bind, place: Place, next: Option<Place>) {
    let Place {
        conn,
        local,
        relayed,
    } = place;
    let reply = Reply::BoundAt {
        relay: bind.relay,
        local,
        relayed,
    };
    let (jobs, unwanted) = listener.with(|core, now| {
        if !core.waits(&bind) {
            let unwanted = [Some(Arc::clone(&conn)), next.map(|next| next.conn)];
            return (Vec::new(), unwanted);
        }
        let reader = serve(
            Arc::clone(&listener),
            bind.relay,
            bind.ticket,
            Arc::clone(&conn),
        );
        let reader = tokio::spawn(reader).abort_handle();
        core.attach(&bind, Arc::clone(&conn), reader);
        let after = bind.name.port().checked_add(1);
        let name = after.map(|port| SocketAddr::new(bind.name.ip(), port));
        let replaced = name
            .zip(next)
            .and_then(|(name, next)| core.keep(name, next));
        (
            core.reply(now, reply),
            [replaced.map(|place| place.conn), None],
        )
    });
    for conn in unwanted.iter().flatten() {
        places::close(conn).await;
    }
    listener.perform(jobs).await;
}

async fn fail(listener: &Arc<Listener>, bind: &Bind, cause: BindFailure) {
    let reply = Reply::BindFailed {
        relay: bind.relay,
        cause,
    };
    let jobs = listener.with(|core, now| {
        if core.waits(bind) {
            core.reply(now, reply)
        } else {
            Vec::new()
        }
    });
    listener.perform(jobs).await;
}

/// Serves a relay until it is unbound, which aborts this task, or its conn is closed by others, which ends its allocation.
async fn serve(listener: Arc<Listener>, relay: RelayId, ticket: u64, conn: SharedConn) {
    read(&listener, relay, ticket, &conn).await;
    let jobs = listener.with(|core, now| {
        if core.is_current(relay, ticket) {
            core.relay.on_relay_closed(now, relay);
        }
        core.jobs()
    });
    // Not here: one of the jobs ends this task.
    tokio::spawn(async move { listener.perform(jobs).await });
}

/// Reads what peers send.
///
/// The buffer is of the largest size, but only the pages that datagrams have reached are ever backed by memory.
async fn read(listener: &Listener, relay: RelayId, ticket: u64, conn: &SharedConn) {
    let mut buf = vec![0; HEADROOM + MAX_DATAGRAM + TAILROOM];
    let mut patience = Patience::default();
    loop {
        let Some(room) = buf.get_mut(HEADROOM..HEADROOM + MAX_DATAGRAM) else {
            return;
        };
        match conn.recv_from(room).await {
            Ok((length, from)) if length <= MAX_DATAGRAM => {
                patience.restore();
                let payload = HEADROOM..HEADROOM + length;
                let message = listener.with(|core, now| {
                    if core.is_current(relay, ticket) {
                        core.relay.on_peer(now, relay, from, &mut buf, payload)
                    } else {
                        None
                    }
                });
                if let Some(message) = message
                    && let Some(bytes) = buf.get(message.range)
                {
                    listener.answer(bytes, message.path.client).await;
                }
            }
            Ok(_) => return,
            Err(error) => {
                if !patience.endure(&error).await {
                    return;
                }
            }
        }
    }
}

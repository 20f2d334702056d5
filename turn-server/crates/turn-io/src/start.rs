//! Start: every socket is bound and every thread running, or nothing is left behind.

use std::{io, net::SocketAddr};

use mio::{Poll, Registry};
use socket2::Socket;
use turn_proto::Relay;

use crate::{
    Config, Endpoints, StartError, Workers,
    bind::{self, RelayWish},
    clock::Clock,
    colleagues::{Colleague, Colleagues},
    doors::Doors,
    dtls::Cookies,
    handle::{Failures, Handle},
    kept_sockets::KeptSockets,
    mailbox::{Mailbox, Mailboxes},
    relay_sockets::SharedSocket,
    worker::{Parts, Worker},
};

/// Opens all sockets and starts the workers; `relays` makes the state machine of each, by number from zero.
///
/// # Errors
/// When an address cannot be listened on, a relay address is not this machine's, or a thread cannot be started.
pub fn start(
    config: Config,
    mut relays: impl FnMut(usize) -> Relay,
) -> Result<Workers, StartError> {
    let workers = config.workers.max(1);
    let polls = (0..workers).map(|_| Poll::new());
    let polls = polls.collect::<io::Result<Vec<Poll>>>()?;
    let registries = polls.iter().map(|poll| poll.registry().try_clone());
    let registries = registries.collect::<io::Result<Vec<Registry>>>()?;
    let boxes = polls.iter().map(Mailbox::open);
    let (boxes, commands): (Vec<_>, Vec<_>) =
        boxes.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
    let mailboxes = Mailboxes::new(boxes.clone());
    let mut doors = Doors::new(config.clone(), registries, mailboxes.clone());
    let opening = doors.open(&Endpoints::of(&config))?;
    // After the listeners: where an address serves for both, the mistake is that of the listener's option.
    bind::try_relays(&config, &config.relay_addresses)?;
    let (clock, failures) = (Clock::new(), Failures::new(config.on_failure.clone()));
    let kept = KeptSockets::default();
    let shared = shared_relays(&config)?;
    let mut handles = Vec::with_capacity(workers);
    let colleagues: Vec<_> = boxes.iter().cloned().map(Colleague::new).collect();
    let mailed = boxes.into_iter().zip(commands);
    for (number, (poll, (mailbox, commands))) in polls.into_iter().zip(mailed).enumerate() {
        let parts = Parts {
            shared_relays: register_shared(&shared, &poll, number, workers)?,
            poll,
            colleagues: Colleagues::new(colleagues.clone()),
            relay: relays(number),
            number: u16::try_from(number).unwrap_or(u16::MAX),
            mailboxes: mailboxes.clone(),
            commands,
            clock,
            cookies: Cookies::new()?,
            kept: kept.clone(),
        };
        let config = config.clone();
        let run = move || Worker::new(&config, parts).run();
        handles.push(Handle::spawn(number, mailbox, failures.clone(), run)?);
    }
    doors.turn_to(opening);
    Ok(Workers::new(handles, doors, failures))
}

/// A relay socket that allocations share, and the worker that reads it.
struct SharedRelay {
    socket: Socket,
    local: SocketAddr,
    owner: usize,
}

/// Binds the relay sockets that allocations share.
fn shared_relays(config: &Config) -> Result<Vec<SharedRelay>, StartError> {
    let bind = |&(local, owner): &(SocketAddr, usize)| {
        let bound = bind::bind_relay(local, RelayWish::of(config));
        let socket = bound.map_err(|cause| StartError::SharedRelay {
            address: local,
            cause,
        })?;
        Ok(SharedRelay {
            socket,
            local,
            owner,
        })
    };
    config.shared_relays.iter().map(bind).collect()
}

/// What one of `workers` has of them: all, of which it reads those that it owns.
fn register_shared(
    shared: &[SharedRelay],
    poll: &Poll,
    worker: usize,
    workers: usize,
) -> io::Result<Vec<SharedSocket>> {
    // A worker may have members on a port that another one reads.
    let is_common = workers > 1;
    let one = |(place, relay): (usize, &SharedRelay)| {
        let socket = (&relay.socket, relay.local);
        let registry = poll.registry();
        SharedSocket::new(registry, place, socket, relay.owner == worker, is_common)
    };
    shared.iter().enumerate().map(one).collect()
}

//! Start: every socket is bound and every thread running, or nothing is left behind.

use std::{io, net::SocketAddr};

use mio::{
    Interest, Poll,
    net::{TcpListener, UdpSocket},
};
use socket2::Socket;
use turn_proto::{Relay, Transport};

use crate::{
    Config, Inherited, Listening, StartError, Workers,
    bind::{self, RelayWish, Share, Wish},
    clock::Clock,
    colleagues::{Colleague, Colleagues},
    dtls::Cookies,
    handle::{Failures, Handle},
    kept_sockets::KeptSockets,
    listener::Listener,
    mailbox::{Mailbox, Mailboxes},
    relay_sockets::SharedSocket,
    source::Source,
    worker::{Acceptor, Parts, Worker},
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
    let bound = Bound::all(&config, workers)?;
    // After the listeners: where an address serves for both, the mistake is that of the listener's option.
    for &address in &config.relay_addresses {
        bind::bind_relay(SocketAddr::new(address, 0), RelayWish::of(&config))
            .map_err(|cause| StartError::relay(address, cause))?;
    }
    let (clock, failures) = (Clock::new(), Failures::new(config.on_failure.clone()));
    let kept = KeptSockets::default();
    let shared = shared_relays(&config)?;
    let mut handles = Vec::with_capacity(workers);
    let polls = (0..workers).map(|_| Poll::new());
    let polls = polls.collect::<io::Result<Vec<Poll>>>()?;
    let boxes = polls.iter().map(Mailbox::open);
    let (boxes, commands): (Vec<_>, Vec<_>) =
        boxes.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
    let mailboxes = Mailboxes::new(boxes.clone());
    let colleagues: Vec<_> = boxes.iter().cloned().map(Colleague::new).collect();
    let sockets = bound.sockets.into_iter().zip(polls);
    let mailed = boxes.into_iter().zip(commands);
    for (number, ((sockets, poll), (mailbox, commands))) in sockets.zip(mailed).enumerate() {
        let (listeners, acceptors) = sockets.register(&poll)?;
        let parts = Parts {
            listeners,
            acceptors,
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
    Ok(Workers::new(handles, bound.listening, failures))
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

/// Sockets bound for all workers.
struct Bound {
    listening: Vec<Listening>,
    sockets: Vec<WorkerSockets>,
}

#[derive(Default)]
struct WorkerSockets {
    udp: Vec<UdpSocket>,
    /// Each with whether it is behind a proxy.
    tcp: Vec<(TcpListener, bool)>,
}

impl Bound {
    fn all(config: &Config, workers: usize) -> Result<Self, StartError> {
        let mut bound = Self {
            listening: Vec::new(),
            sockets: Vec::new(),
        };
        bound.sockets.resize_with(workers, WorkerSockets::default);
        let on = |transport, addresses: &'_ [SocketAddr], behind_proxy| -> Vec<Listening> {
            let listening = |&address| Listening {
                transport,
                address,
                behind_proxy,
            };
            addresses.iter().map(listening).collect()
        };
        let wanted = [
            on(Transport::Udp, &config.udp, false),
            on(Transport::Dtls, &config.dtls, false),
            on(Transport::Tcp, &config.tcp, false),
            on(Transport::Tls, &config.tls, false),
            on(Transport::Tcp, &config.behind_proxy, true),
        ];
        for wanted in wanted.into_iter().flatten() {
            let address = bound
                .one(config, wanted)
                .map_err(|cause| StartError::listen(wanted, cause))?;
            bound.listening.push(Listening { address, ..wanted });
        }
        Ok(bound)
    }

    /// Binds an address for every worker and tells it with its real port.
    fn one(&mut self, config: &Config, wanted: Listening) -> io::Result<SocketAddr> {
        let alone = self.sockets.len() == 1;
        let mut address = wanted.address;
        for (number, sockets) in self.sockets.iter_mut().enumerate() {
            let share = match number {
                0 if alone => Share::Alone,
                0 => Share::First,
                _ => Share::Joining,
            };
            let inherited = Inherited::find(&config.inherited, &wanted, number)?;
            address = match wanted.transport {
                Transport::Udp | Transport::Dtls => {
                    let socket = match inherited {
                        Some(socket) => socket,
                        None => bind::bind_udp(address, share, config.listening_device)?,
                    };
                    bind::prepare_udp(&socket, address, share, Wish::of(config));
                    let socket = UdpSocket::from_std(socket.into());
                    let address = socket.local_addr()?;
                    sockets.udp.push(socket);
                    address
                }
                Transport::Tcp | Transport::Tls => {
                    let socket = match inherited {
                        Some(socket) => socket,
                        None => bind::listen_tcp(address, share, config.listening_device)?,
                    };
                    let socket = TcpListener::from_std(socket.into());
                    let address = socket.local_addr()?;
                    sockets.tcp.push((socket, wanted.behind_proxy));
                    address
                }
            };
        }
        Ok(address)
    }
}

impl WorkerSockets {
    fn register(self, poll: &Poll) -> io::Result<(Vec<Listener>, Vec<Acceptor>)> {
        let registry = poll.registry();
        let listeners = (0..)
            .zip(self.udp)
            .map(|(place, socket)| Listener::new(registry, place, socket));
        let acceptors = (0..)
            .zip(self.tcp)
            .map(|(place, (mut listener, behind_proxy))| {
                registry.register(
                    &mut listener,
                    Source::Acceptor(place).token(),
                    Interest::READABLE,
                )?;
                Ok(Acceptor {
                    listener,
                    behind_proxy,
                    ready: false,
                })
            });
        Ok((
            listeners.collect::<io::Result<_>>()?,
            acceptors.collect::<io::Result<_>>()?,
        ))
    }
}

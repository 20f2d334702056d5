//! Sockets for other addresses, while the workers run.
//!
//! Everything that can fail comes first: what is made here is bound and known to the pollers, and no worker has heard of it. What
//! is there already is not touched before.

use std::{io, net::SocketAddr, sync::Arc};

use mio::{
    Interest,
    net::{TcpListener, UdpSocket},
};
use turn_proto::LinkId;

use crate::{
    Endpoints, Listening, StartError,
    bind::open_for_all,
    doors::{Datagrams, Doors, Hold, Streams, Table},
    listener::{Arriving, Open, Wanted},
    source::{LISTENERS, Source},
    worker::Change,
};

/// Sockets for other addresses, bound and not served yet.
pub struct Opening {
    pub(crate) table: Table,
    /// What each worker is told.
    pub(crate) changes: Vec<Vec<Change>>,
    turned: Turned,
}

/// What has changed of what is listened on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// What is listened on now and was not before.
    pub opened: Vec<Listening>,
    /// What is not listened on any more; sessions over UDP and DTLS live on there.
    pub closed: Vec<Listening>,
}

impl Opening {
    pub(crate) fn new(doors: &Doors, wanted: &Endpoints) -> Result<Self, StartError> {
        let mut changes = Vec::new();
        changes.resize_with(doors.registries.len(), Vec::new);
        let mut opening = Self {
            table: Table::default(),
            changes,
            turned: Turned::default(),
        };
        opening.open_datagrams(doors, wanted)?;
        opening.open_streams(doors, wanted)?;
        Ok(opening)
    }

    /// The links of what will be listened on for datagrams, by address.
    pub fn links(&self) -> Vec<(SocketAddr, LinkId)> {
        let links = self.table.datagrams.iter();
        links
            .map(|held| (held.listening.address, LinkId(held.place)))
            .collect()
    }

    /// What will be listened on, as [`crate::Workers::listening`] tells it then.
    pub fn listening(&self) -> Vec<Listening> {
        self.table.listening()
    }

    /// What it changes.
    pub fn turned(&self) -> &Turned {
        &self.turned
    }

    fn open_datagrams(&mut self, doors: &Doors, wanted: &Endpoints) -> Result<(), StartError> {
        let mut left = doors.table.datagrams.clone();
        let (mut retired, closing): (Vec<_>, Vec<_>) =
            (doors.table.retired.iter().cloned()).partition(Datagrams::is_held);
        for wanted in wanted.datagrams() {
            if let Some(found) = take(&mut left, |held| (held.asked, held.listening), &wanted) {
                self.keep_datagrams(found, wanted);
            } else if let Some(revived) =
                take(&mut retired, |held| (held.asked, held.listening), &wanted)
                && let Hold::Sessions(sessions) = &revived.wanted
                && let Some(held) = sessions.upgrade()
            {
                self.revive(revived, held, wanted);
            } else {
                let made = self.bind_datagrams(doors, wanted);
                made.map_err(|cause| StartError::listen(wanted, cause))?;
            }
        }
        for gone in left {
            let Hold::Operator(held) = &gone.wanted else {
                continue;
            };
            self.turned.closed.push(gone.listening);
            let place = gone.place;
            self.tell_all(|| Change::Retire { place });
            let wanted = Hold::Sessions(Arc::downgrade(held));
            retired.push(Datagrams { wanted, ..gone });
        }
        retired.extend(closing);
        retired.retain(|held| held.open.strong_count() > 0);
        self.table.retired = retired;
        Ok(())
    }

    /// Goes on with a socket, perhaps under another name.
    fn keep_datagrams(&mut self, found: Datagrams, wanted: Listening) {
        let address = found.listening.address;
        self.table.datagrams.push(Datagrams {
            asked: wanted.address,
            listening: Listening { address, ..wanted },
            ..found
        });
    }

    fn revive(&mut self, found: Datagrams, held: Arc<Wanted>, wanted: Listening) {
        let place = found.place;
        self.tell_all(|| Change::Revive {
            place,
            wanted: Arc::clone(&held),
        });
        self.turned.opened.push(found.listening);
        let wanted_by = Hold::Operator(held);
        self.keep_datagrams(
            Datagrams {
                wanted: wanted_by,
                ..found
            },
            wanted,
        );
    }

    fn bind_datagrams(&mut self, doors: &Doors, wanted: Listening) -> io::Result<()> {
        let place = self.free_place(&doors.table)?;
        let (address, sockets) = open_for_all(&doors.config, wanted, doors.registries.len())?;
        let (held, open) = (Wanted::new(place, doors.mailboxes.clone()), Arc::new(Open));
        let workers = self.changes.iter_mut().zip(&doors.registries);
        for (socket, (changes, registry)) in sockets.into_iter().zip(workers) {
            let mut socket = UdpSocket::from_std(socket.into());
            let token = Source::Listener(place).token();
            registry.register(&mut socket, token, Interest::READABLE)?;
            changes.push(Change::Listen(Arriving {
                place,
                socket,
                address,
                wanted: Arc::clone(&held),
                open: Arc::clone(&open),
            }));
        }
        let listening = Listening { address, ..wanted };
        self.turned.opened.push(listening);
        self.table.datagrams.push(Datagrams {
            asked: wanted.address,
            listening,
            place,
            wanted: Hold::Operator(held),
            open: Arc::downgrade(&open),
        });
        Ok(())
    }

    /// The lowest place for datagrams where no worker has a socket.
    fn free_place(&self, old: &Table) -> io::Result<u32> {
        let tables = [old, &self.table].into_iter();
        let all = tables.flat_map(|table| table.datagrams.iter().chain(&table.retired));
        let open = all.filter(|held| held.open.strong_count() > 0);
        let taken: Vec<u32> = open.map(|held| held.place).collect();
        let free = (0..LISTENERS).find(|place| !taken.contains(place));
        free.ok_or_else(|| io::Error::other("there are too many addresses"))
    }

    fn open_streams(&mut self, doors: &Doors, wanted: &Endpoints) -> Result<(), StartError> {
        let mut left = doors.table.streams.clone();
        for wanted in wanted.streams() {
            match take(&mut left, |held| (held.asked, held.listening), &wanted) {
                Some(found) => self.keep_streams(&found, wanted),
                None => {
                    let made = self.listen_streams(doors, wanted);
                    made.map_err(|cause| StartError::listen(wanted, cause))?;
                }
            }
        }
        for gone in left {
            self.turned.closed.push(gone.listening);
            let place = gone.place;
            self.tell_all(|| Change::Shut { place });
        }
        Ok(())
    }

    fn keep_streams(&mut self, found: &Streams, wanted: Listening) {
        let (place, behind_proxy) = (found.place, wanted.behind_proxy);
        if found.listening.behind_proxy != behind_proxy {
            self.tell_all(|| Change::Expect {
                place,
                behind_proxy,
            });
        }
        let address = found.listening.address;
        self.table.streams.push(Streams {
            asked: wanted.address,
            listening: Listening { address, ..wanted },
            place,
        });
    }

    fn listen_streams(&mut self, doors: &Doors, wanted: Listening) -> io::Result<()> {
        let tables = [&doors.table, &self.table].into_iter();
        let taken: Vec<u32> = (tables.flat_map(|table| &table.streams))
            .map(|held| held.place)
            .collect();
        let free = (0..LISTENERS).find(|place| !taken.contains(place));
        let place = free.ok_or_else(|| io::Error::other("there are too many addresses"))?;
        let (address, sockets) = open_for_all(&doors.config, wanted, doors.registries.len())?;
        let workers = self.changes.iter_mut().zip(&doors.registries);
        for (socket, (changes, registry)) in sockets.into_iter().zip(workers) {
            let mut listener = TcpListener::from_std(socket.into());
            let token = Source::Acceptor(place).token();
            registry.register(&mut listener, token, Interest::READABLE)?;
            changes.push(Change::Accept {
                place,
                listener,
                behind_proxy: wanted.behind_proxy,
            });
        }
        let listening = Listening { address, ..wanted };
        self.turned.opened.push(listening);
        self.table.streams.push(Streams {
            asked: wanted.address,
            listening,
            place,
        });
        Ok(())
    }

    fn tell_all(&mut self, change: impl Fn() -> Change) {
        for changes in &mut self.changes {
            changes.push(change());
        }
    }
}

/// Takes the entry that stands for what is wanted: by the address that was asked for, or by the one that it got.
fn take<T>(
    entries: &mut Vec<T>,
    of: impl Fn(&T) -> (SocketAddr, Listening),
    wanted: &Listening,
) -> Option<T> {
    let is_meant = |entry: &T| {
        let (asked, listening) = of(entry);
        [asked, listening.address].contains(&wanted.address)
    };
    let place = entries.iter().position(is_meant)?;
    Some(entries.remove(place))
}

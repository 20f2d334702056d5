//! Listening elsewhere while packets flow: sockets that come, retire, come back and close.
//!
//! A datagram socket that is not wanted any more lives on for the sessions on it, of this worker and of the others: its clients
//! know the server by its address. It has another name on the list of ready sources meanwhile ([`Source::Retired`]), so that
//! the other listeners need not be asked whether they are such a one.

use std::{sync::Arc, time::Duration};

use mio::{Interest, net::TcpListener};
use tracing::error;
use turn_proto::LinkId;

use super::{Worker, accepting::ACCEPT, sockets::Acceptor};
use crate::{
    Spoken,
    bind::BACKLOG,
    listener::{Arriving, Listener, Wanted},
    source::Source,
};

/// How often retired listeners are looked at for sessions: all of them are counted, which takes 2 ns each.
const LOOK: Duration = Duration::from_secs(1);

/// What changes of what a worker listens on. Places are chosen by the handle.
pub(crate) enum Change {
    /// Serve datagrams there.
    Listen(Arriving),
    /// Serve everybody again.
    Revive {
        /// Which socket.
        place: u32,
        /// What it is kept open by.
        wanted: Arc<Wanted>,
    },
    /// Serve only who has a session there.
    Retire {
        /// Which socket.
        place: u32,
    },
    /// Close a retired socket: no worker has sessions there.
    Close {
        /// Which one.
        place: u32,
    },
    /// Accept connections there.
    Accept {
        /// Where.
        place: u32,
        /// By which socket.
        listener: TcpListener,
        /// Whether only proxies connect.
        behind_proxy: bool,
    },
    /// Let everybody connect, or only proxies.
    Expect {
        /// Where.
        place: u32,
        /// Whether only proxies connect.
        behind_proxy: bool,
    },
    /// Accept no more connections there.
    Shut {
        /// Where.
        place: u32,
    },
}

impl Worker {
    /// Speaks this with who comes from now on.
    pub(super) fn speak(&mut self, spoken: Spoken) {
        self.entrance.plain = spoken.plain_streams;
        self.entrance.tls = spoken.tls;
        self.plain_datagrams = spoken.plain_datagrams;
        let associations = &mut self.sockets.associations;
        associations.serve(spoken.dtls);
        // Those that there are outlive the end of DTLS.
        let has_dtls = associations.is_on() || associations.len() > 0;
        self.plain_only = self.plain_datagrams && !has_dtls;
    }

    pub(super) fn change_listening(&mut self, change: Change) {
        match change {
            Change::Listen(arriving) => self.listen(arriving),
            Change::Revive { place, wanted } => self.revive(place, wanted),
            Change::Retire { place } => self.retire(place),
            Change::Close { place } => {
                if let Some(listener) = self.sockets.listeners.get_mut(place as usize) {
                    listener.close();
                }
            }
            Change::Accept {
                place,
                listener,
                behind_proxy,
            } => self.accept_at(place, listener, behind_proxy),
            Change::Expect {
                place,
                behind_proxy,
            } => {
                let acceptor = self.sockets.acceptors.get_mut(place as usize);
                if let Some(acceptor) = acceptor.and_then(Option::as_mut) {
                    acceptor.behind_proxy = behind_proxy;
                }
            }
            Change::Shut { place } => self.shut(place),
        }
    }

    /// How many clients have a session on a listener, over UDP and over DTLS.
    pub(super) fn sessions_at(&self, link: LinkId) -> usize {
        let over_dtls = self.sockets.associations.at(link.0, true).count();
        self.relay.clients_at(link) + over_dtls
    }

    /// Gives up the retired listeners that have no sessions, and associations that have come to nothing there.
    pub(super) fn look_at_retired(&mut self) {
        let mut left = false;
        for place in (0..).take(self.sockets.listeners.len()) {
            let listener = self.sockets.listeners.get(place as usize);
            if !listener.is_some_and(|listener| listener.retired && listener.wanted.is_some()) {
                continue;
            }
            let idle: Vec<LinkId> = self.sockets.associations.at(place, false).collect();
            for link in idle {
                self.lose_association(link);
            }
            if self.sessions_at(LinkId(place)) > 0 {
                left = true;
            } else if let Some(listener) = self.sockets.listeners.get_mut(place as usize) {
                // Whoever is the last to do so has all of them closed.
                listener.wanted = None;
            }
        }
        self.look_at_retired_at = left.then(|| self.now.mono + LOOK);
    }

    fn listen(&mut self, arriving: Arriving) {
        let place = arriving.place;
        put(
            &mut self.sockets.listeners,
            place,
            Listener::new(arriving),
            Listener::closed,
        );
        // What has come before we knew of it was told of already.
        self.sockets.enlist(Source::Listener(place));
    }

    fn retire(&mut self, place: u32) {
        if let Some(listener) = self.sockets.listeners.get_mut(place as usize) {
            listener.retired = true;
            self.rename(Source::Listener(place), Source::Retired(place), place);
            self.look_at_retired();
        }
    }

    fn revive(&mut self, place: u32, wanted: Arc<Wanted>) {
        if let Some(listener) = self.sockets.listeners.get_mut(place as usize) {
            listener.retired = false;
            listener.wanted = Some(wanted);
            self.rename(Source::Retired(place), Source::Listener(place), place);
        }
    }

    /// Lets a listening socket become ready by another name.
    fn rename(&mut self, old: Source, new: Source, place: u32) {
        let listener = self.sockets.listeners.get_mut(place as usize);
        if let Some(socket) = listener.and_then(|listener| listener.socket.as_mut()) {
            let registry = self.poll.registry();
            if let Err(error) = registry.reregister(socket, new.token(), Interest::READABLE) {
                error!("a listening socket is not heard any more: {error}");
            }
        }
        self.sockets.strike(old);
        self.sockets.enlist(new);
    }

    fn accept_at(&mut self, place: u32, listener: TcpListener, behind_proxy: bool) {
        let acceptor = Acceptor {
            listener,
            behind_proxy,
            ready: false,
        };
        put(&mut self.sockets.acceptors, place, Some(acceptor), || None);
        self.sockets.enlist(Source::Acceptor(place));
    }

    /// Takes the connections that the kernel has completed already, and no more after them.
    fn shut(&mut self, place: u32) {
        for _ in 0..BACKLOG / ACCEPT {
            if !self.serve_acceptor(place).more {
                break;
            }
        }
        self.sockets.strike(Source::Acceptor(place));
        if let Some(acceptor) = self.sockets.acceptors.get_mut(place as usize) {
            *acceptor = None;
        }
    }
}

/// Puts something at its place, behind as many empty ones as it takes.
fn put<T>(places: &mut Vec<T>, place: u32, what: T, empty: impl FnMut() -> T) {
    let index = place as usize;
    if places.len() <= index {
        places.resize_with(index + 1, empty);
    }
    if let Some(held) = places.get_mut(index) {
        *held = what;
    }
}

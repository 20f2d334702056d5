//! Mail to workers: commands of the handle, and what one worker hands over to another.
//!
//! A client's data connection is handed over once (RFC 6062), and so is a session whose client has moved (RFC 8016). Relayed packets come this way only where allocations of several
//! workers share a relay port (`colleagues`).

use std::{io, sync::Arc, sync::mpsc};

use mio::{Poll, Waker};
use turn_proto::{ConnectionId, Message, Parcel};

use crate::{data::ClientSide, relay_sockets::RelaySocket, source::Source, worker::Command};

/// What one worker hands over to another.
pub(crate) enum Mail {
    /// A client's data connection, for the peer's connection that the receiver has.
    DataConnection {
        /// Which one.
        connection: ConnectionId,
        /// The client's half.
        client: Box<ClientSide>,
    },
    /// What one state machine tells another (RFC 8016).
    Message {
        /// Which worker says it.
        from: u16,
        /// What.
        message: Message,
    },
    /// A mobile session whose client has moved to the receiver.
    Parcel {
        /// The session.
        parcel: Box<Parcel>,
        /// Its relay sockets.
        sockets: Vec<RelaySocket>,
    },
}

/// The way to one worker.
#[derive(Clone)]
pub(crate) struct Mailbox {
    commands: mpsc::Sender<Command>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// Opens the mailbox of the worker that waits on `poll`.
    pub(crate) fn open(poll: &Poll) -> io::Result<(Self, mpsc::Receiver<Command>)> {
        let waker = Arc::new(Waker::new(poll.registry(), Source::Waker.token())?);
        let (commands, received) = mpsc::channel();
        Ok((Self { commands, waker }, received))
    }

    /// Sends a command and wakes the worker.
    pub(crate) fn send(&self, command: Command) {
        if self.leave(command) {
            self.wake();
        }
    }

    /// Sends a command that the worker finds when it is woken; false if it has failed.
    pub(crate) fn leave(&self, command: Command) -> bool {
        // What a worker is sent that has nobody to listen is dropped, and so closed.
        self.commands.send(command).is_ok()
    }

    pub(crate) fn wake(&self) {
        let _ = self.waker.wake();
    }
}

/// The ways to all workers, by number.
#[derive(Clone)]
pub(crate) struct Mailboxes(Arc<[Mailbox]>);

impl Mailboxes {
    pub(crate) fn new(all: Vec<Mailbox>) -> Self {
        Self(all.into())
    }

    /// Sends a command to one worker, if there is such a one.
    pub(crate) fn tell(&self, worker: usize, command: Command) {
        if let Some(mailbox) = self.0.get(worker) {
            mailbox.send(command);
        }
    }

    /// Sends a command to every worker.
    pub(crate) fn tell_all(&self, command: impl Fn() -> Command) {
        for mailbox in self.0.iter() {
            mailbox.send(command());
        }
    }

    /// Hands something over to another worker. What is for nobody is dropped.
    pub(crate) fn post(&self, worker: u16, mail: Mail) {
        if let Some(mailbox) = self.0.get(usize::from(worker)) {
            mailbox.send(Command::Mail(mail));
        }
    }
}

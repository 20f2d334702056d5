//! The ways of the relay and near it: a poller, batches in, and the shortest call out.

use std::{
    io,
    net::UdpSocket,
    ops::Range,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use udp_batch::{Arena, Backend, Outgoing, Sender};

use super::{HEADER, Stage};

const BATCH: usize = 64;
const SLOTS: usize = 2 * BATCH;

/// Forwards until told to stop; spins for `patience` before it sleeps.
pub(crate) fn run(stage: &Stage, connected: bool, patience: Duration) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let sockets = stage.relays.iter().chain([&stage.listener]);
    for (index, socket) in sockets.enumerate() {
        let token = Token(index);
        poll.registry().register(
            &mut SourceFd(&socket.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
    }
    if connected {
        for relay in &stage.relays {
            relay.connect(stage.peer_address)?;
        }
    }
    let mut forwarder = Forwarder {
        stage,
        connected,
        arena: Arena::new(Backend::detect(), SLOTS, HEADER, 0),
        sender: Sender::new(Backend::detect(), SLOTS),
        queued: Vec::with_capacity(SLOTS),
        used: 0,
    };
    let mut events = Events::with_capacity(1024);
    while !stage.is_over() {
        wait(stage, &mut poll, &mut events, patience)?;
        for event in &events {
            match stage.relays.get(event.token().0) {
                Some(relay) => forwarder.serve_relay(event.token().0, relay)?,
                None => forwarder.serve_listener()?,
            }
        }
        forwarder.flush();
    }
    Ok(())
}

fn wait(stage: &Stage, poll: &mut Poll, events: &mut Events, patience: Duration) -> io::Result<()> {
    let began = Instant::now();
    while !patience.is_zero() && began.elapsed() < patience {
        stage.count_call();
        poll.poll(events, Some(Duration::ZERO))?;
        if !events.is_empty() {
            return Ok(());
        }
    }
    stage.count_call();
    poll.poll(events, None)
}

struct Forwarder<'s> {
    stage: &'s Stage,
    connected: bool,
    arena: Arena,
    sender: Sender,
    /// What is to go to the client: where it lies.
    queued: Vec<(usize, Range<usize>)>,
    /// Slots below are queued.
    used: usize,
}

impl Forwarder<'_> {
    fn serve_listener(&mut self) -> io::Result<()> {
        loop {
            let stage = self.stage;
            stage.count_call();
            let count = self.arena.receive(stage.listener.as_fd(), 0, BATCH)?;
            for index in 0..count {
                let Some(slot) = self.arena.slot_mut(index) else {
                    break;
                };
                let packet = slot.buf.get(slot.payload).unwrap_or_default();
                let Some((flow, payload)) = packet.split_first_chunk::<HEADER>() else {
                    continue;
                };
                let Some(relay) = stage.relays.get(u32::from_be_bytes(*flow) as usize) else {
                    continue;
                };
                stage.count_call();
                if self.connected {
                    relay.send(payload)?;
                } else {
                    relay.send_to(payload, stage.peer_address)?;
                }
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    fn serve_relay(&mut self, flow: usize, relay: &UdpSocket) -> io::Result<()> {
        loop {
            if self.used + BATCH > SLOTS {
                self.flush();
            }
            let first = self.used;
            self.stage.count_call();
            let count = self.arena.receive(relay.as_fd(), first, BATCH)?;
            self.used += count;
            for index in first..first + count {
                let Some(slot) = self.arena.slot_mut(index) else {
                    break;
                };
                let start = slot.payload.start - HEADER;
                slot.buf[start..slot.payload.start].copy_from_slice(&(flow as u32).to_be_bytes());
                self.queued.push((index, start..slot.payload.end));
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    fn flush(&mut self) {
        if !self.queued.is_empty() {
            let packets = self.queued.iter().filter_map(|(slot, range)| {
                Some(Outgoing {
                    to: self.stage.client_address,
                    bytes: self.arena.bytes(*slot, range.clone())?,
                    traffic_class: 0,
                })
            });
            self.stage.count_call();
            let _ = self.sender.send(self.stage.listener.as_fd(), packets);
        }
        self.queued.clear();
        self.used = 0;
    }
}

//! Packets queued within a turn, grouped by the socket they leave through, so that each socket is written once.
//!
//! Payloads stay in the arena slots they were received into; only what the state machine wrote itself is copied. Each
//! socket keeps one word, [`Pending`], that leads to its own packets in the common list: no socket owns a queue, and nothing
//! is allocated once the lists have grown to the size of a turn.

use std::{net::SocketAddr, ops::Range};

use turn_proto::{LinkId, RelayId};
use udp_batch::{Arena, Outgoing};

/// The socket a packet leaves through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// To a client, through a listening datagram socket, by its place.
    Listener(u32),
    /// To a client, through its connection.
    Stream(LinkId),
    /// To a peer, through a relay socket.
    Relay(RelayId),
}

/// Where the bytes of a packet are.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// In an arena slot: relayed data, which may be lost.
    Slot(usize, Range<usize>),
    /// Among the copies; on a stream, an answer, which is not lost.
    Copy(Range<usize>),
}

/// A socket's place in the outbox, if it has packets there.
#[derive(Debug, Default)]
pub(crate) struct Pending(Option<usize>);

impl Pending {
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// What is said in the IP header of a datagram, where it is not what the system says by default (RFC 8656 §14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IpHeader {
    /// DSCP and ECN.
    pub(crate) traffic_class: u8,
    pub(crate) dont_fragment: bool,
}

/// The packets of one socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    pub(crate) exit: Exit,
    /// Whether some packet must not be fragmented.
    pub(crate) dont_fragment: bool,
    first: usize,
    last: usize,
}

struct Entry {
    to: SocketAddr,
    header: IpHeader,
    body: Body,
    next: Option<usize>,
}

/// What a stream is given of a packet: it needs no address, and must know whether the packet may be lost.
pub(crate) struct Message<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) is_answer: bool,
}

/// All packets queued.
#[derive(Default)]
pub(crate) struct Outbox {
    entries: Vec<Entry>,
    chains: Vec<Chain>,
    copies: Vec<u8>,
}

impl Outbox {
    /// Queues a part of an arena slot, which must stay as it is until the outbox is cleared.
    pub(crate) fn push_slot(
        &mut self,
        pending: &mut Pending,
        exit: Exit,
        to: SocketAddr,
        header: IpHeader,
        (slot, range): (usize, Range<usize>),
    ) {
        self.push(pending, exit, to, header, Body::Slot(slot, range));
    }

    /// Queues a copy of an answer.
    pub(crate) fn push_answer(
        &mut self,
        pending: &mut Pending,
        exit: Exit,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        self.push_copy(pending, exit, to, IpHeader::default(), bytes);
    }

    /// Queues a copy of what belongs to nobody's slot, with its header: relayed data once it is sealed.
    pub(crate) fn push_copy(
        &mut self,
        pending: &mut Pending,
        exit: Exit,
        to: SocketAddr,
        header: IpHeader,
        bytes: &[u8],
    ) {
        let start = self.copies.len();
        self.copies.extend_from_slice(bytes);
        let body = Body::Copy(start..self.copies.len());
        self.push(pending, exit, to, header, body);
    }

    /// How many packets wait.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many sockets have packets here.
    pub(crate) fn chains(&self) -> usize {
        self.chains.len()
    }

    pub(crate) fn chain(&self, index: usize) -> Option<Chain> {
        self.chains.get(index).copied()
    }

    /// How many packets a chain has.
    pub(crate) fn count(&self, chain: Chain) -> usize {
        self.walk(chain).count()
    }

    /// The packets of a datagram socket, in the order they were queued.
    pub(crate) fn packets<'a>(
        &'a self,
        chain: Chain,
        arena: &'a Arena,
    ) -> impl Iterator<Item = Outgoing<'a>> {
        self.walk(chain)
            .filter_map(move |entry| self.outgoing(entry, arena))
    }

    /// The same, each with whether it must not be fragmented.
    pub(crate) fn marked_packets<'a>(
        &'a self,
        chain: Chain,
        arena: &'a Arena,
    ) -> impl Iterator<Item = (bool, Outgoing<'a>)> {
        self.walk(chain).filter_map(move |entry| {
            Some((entry.header.dont_fragment, self.outgoing(entry, arena)?))
        })
    }

    fn outgoing<'a>(&'a self, entry: &Entry, arena: &'a Arena) -> Option<Outgoing<'a>> {
        Some(Outgoing {
            to: entry.to,
            bytes: self.bytes(entry, arena)?,
            traffic_class: entry.header.traffic_class,
        })
    }

    /// The messages of a stream, in the order they were queued.
    pub(crate) fn messages<'a>(
        &'a self,
        chain: Chain,
        arena: &'a Arena,
    ) -> impl Iterator<Item = Message<'a>> {
        self.walk(chain).filter_map(move |entry| {
            let is_answer = matches!(entry.body, Body::Copy(_));
            Some(Message {
                bytes: self.bytes(entry, arena)?,
                is_answer,
            })
        })
    }

    /// Forgets all packets. The sockets' [`Pending`]s must have been reset: each leads nowhere from now on.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.chains.clear();
        self.copies.clear();
    }

    fn push(
        &mut self,
        pending: &mut Pending,
        exit: Exit,
        to: SocketAddr,
        header: IpHeader,
        body: Body,
    ) {
        let index = self.entries.len();
        self.entries.push(Entry {
            to,
            header,
            body,
            next: None,
        });
        let Some(chain) = pending.0.and_then(|chain| self.chains.get_mut(chain)) else {
            pending.0 = Some(self.chains.len());
            self.chains.push(Chain {
                exit,
                dont_fragment: header.dont_fragment,
                first: index,
                last: index,
            });
            return;
        };
        if let Some(last) = self.entries.get_mut(chain.last) {
            last.next = Some(index);
        }
        chain.last = index;
        chain.dont_fragment |= header.dont_fragment;
    }

    fn walk(&self, chain: Chain) -> impl Iterator<Item = &Entry> {
        let first = self.entries.get(chain.first);
        std::iter::successors(first, |entry| self.entries.get(entry.next?))
    }

    fn bytes<'a>(&'a self, entry: &Entry, arena: &'a Arena) -> Option<&'a [u8]> {
        match &entry.body {
            Body::Slot(slot, range) => arena.bytes(*slot, range.clone()),
            Body::Copy(range) => self.copies.get(range.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use turn_proto::{LinkId, RelayId};
    use udp_batch::{Arena, Backend};

    use super::{Exit, IpHeader, Outbox, Pending};

    const PLAIN: IpHeader = IpHeader {
        traffic_class: 0,
        dont_fragment: false,
    };

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn arena() -> Arena {
        let mut arena = Arena::new(Backend::Plain, 2, 0, 0);
        arena.buffer_mut(0).unwrap()[..4].copy_from_slice(b"zero");
        arena.buffer_mut(1).unwrap()[..4].copy_from_slice(b"once");
        arena
    }

    #[test]
    fn packets_are_grouped_by_socket_in_their_order() {
        let (arena, mut outbox) = (arena(), Outbox::default());
        let (mut relay, mut listener) = (Pending::default(), Pending::default());
        let (to_peer, to_client) = (Exit::Relay(RelayId(9)), Exit::Listener(0));
        outbox.push_slot(&mut relay, to_peer, address(1), PLAIN, (0, 0..4));
        outbox.push_answer(&mut listener, to_client, address(2), b"answer");
        outbox.push_slot(&mut relay, to_peer, address(3), PLAIN, (1, 1..3));
        outbox.push_slot(&mut listener, to_client, address(4), PLAIN, (1, 0..4));
        let listed: Vec<_> = (0..outbox.chains())
            .map(|index| {
                let chain = outbox.chain(index).unwrap();
                let packets = outbox
                    .packets(chain, &arena)
                    .map(|packet| (packet.to.port(), packet.bytes));
                (chain.exit, outbox.count(chain), packets.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(
            listed,
            [
                (to_peer, 2, vec![(1, &b"zero"[..]), (3, b"nc")]),
                (to_client, 2, vec![(2, &b"answer"[..]), (4, b"once")]),
            ]
        );
    }

    #[test]
    fn answers_are_told_from_relayed_data() {
        let (arena, mut outbox, mut stream) = (arena(), Outbox::default(), Pending::default());
        outbox.push_answer(&mut stream, Exit::Stream(LinkId(1)), address(1), b"a");
        outbox.push_slot(
            &mut stream,
            Exit::Stream(LinkId(1)),
            address(1),
            PLAIN,
            (0, 0..1),
        );
        let chain = outbox.chain(0).unwrap();
        let kinds: Vec<_> = outbox
            .messages(chain, &arena)
            .map(|message| message.is_answer)
            .collect();
        assert_eq!(kinds, [true, false]);
    }

    #[test]
    fn after_clearing_a_socket_starts_a_new_chain() {
        let (arena, mut outbox) = (arena(), Outbox::default());
        let mut pending = Pending::default();
        outbox.push_slot(
            &mut pending,
            Exit::Listener(0),
            address(1),
            PLAIN,
            (0, 0..4),
        );
        assert!(pending.is_some());
        pending = Pending::default();
        outbox.clear();
        assert_eq!(outbox.chains(), 0);
        outbox.push_slot(
            &mut pending,
            Exit::Listener(0),
            address(2),
            PLAIN,
            (1, 0..4),
        );
        let chain = outbox.chain(0).unwrap();
        assert_eq!(
            outbox
                .packets(chain, &arena)
                .map(|packet| packet.to.port())
                .collect::<Vec<_>>(),
            [2]
        );
    }

    #[test]
    fn a_part_outside_its_slot_is_left_out() {
        let (arena, mut outbox, mut pending) = (arena(), Outbox::default(), Pending::default());
        outbox.push_slot(
            &mut pending,
            Exit::Listener(0),
            address(1),
            PLAIN,
            (7, 0..4),
        );
        outbox.push_slot(
            &mut pending,
            Exit::Listener(0),
            address(2),
            PLAIN,
            (0, 0..usize::MAX),
        );
        assert_eq!(outbox.packets(outbox.chain(0).unwrap(), &arena).count(), 0);
    }
}

//! Packets out: everything queued, one batch per socket.

use std::os::fd::AsFd;

use turn_proto::LinkId;
use udp_batch::SendReport;

use super::Worker;
use crate::{
    DEPTHS,
    outbox::{Chain, Exit, Pending},
};

impl Worker {
    /// Sends all that is queued. The slots it lay in are free afterwards, except those of a batch still being served.
    pub(super) fn flush(&mut self) {
        let waiting = self.sockets.outbox.len();
        if waiting == 0 {
            return;
        }
        let depths = &mut self.sockets.counters.outbox_depths;
        depths.record(&DEPTHS, waiting as u64);
        for index in 0..self.sockets.outbox.chains() {
            let Some(chain) = self.sockets.outbox.chain(index) else {
                break;
            };
            match chain.exit {
                Exit::Listener(place) => {
                    let listener = self.sockets.listeners.get_mut(place as usize);
                    let report = listener.and_then(|listener| {
                        listener.pending = Pending::default();
                        Some(self.sender.send_trains(
                            listener.socket.as_ref()?.as_fd(),
                            &mut listener.trains,
                            self.sockets.outbox.packets(chain, &self.arena),
                        ))
                    });
                    self.count_sent(chain, report);
                }
                Exit::Relay(relay) => {
                    let relay = self.sockets.relays.at_mut(relay);
                    let report = relay.map(|relay| {
                        relay.pending = Pending::default();
                        if chain.dont_fragment || !relay.may_fragment {
                            let packets = self.sockets.outbox.marked_packets(chain, &self.arena);
                            return relay.send_marked(&mut self.sender, packets);
                        }
                        self.sender.send_trains(
                            relay.socket.as_fd(),
                            &mut relay.trains,
                            self.sockets.outbox.packets(chain, &self.arena),
                        )
                    });
                    self.count_sent(chain, report);
                }
                Exit::Stream(link) => self.flush_stream(link, chain),
            }
        }
        self.sockets.outbox.clear();
    }

    #[inline(never)]
    fn flush_stream(&mut self, link: LinkId, chain: Chain) {
        let sockets = &mut self.sockets;
        let Some(connection) = sockets.streams.at_mut(link) else {
            sockets.counters.undeliverable += sockets.outbox.count(chain) as u64;
            return;
        };
        connection.pending = Pending::default();
        let delivery = connection.deliver(sockets.outbox.messages(chain, &self.arena));
        sockets.counters.stream_messages_dropped += delivery.dropped;
        sockets.counters.streams_overflowed += u64::from(delivery.overflowed);
        if delivery.overflowed || delivery.broken {
            // Not at once: others' packets are still queued, and closing leads to more.
            self.doomed.push(link);
        }
    }

    #[inline]
    fn count_sent(&mut self, chain: Chain, report: Option<SendReport>) {
        let counters = &mut self.sockets.counters;
        match report {
            Some(SendReport {
                sent,
                dropped_full,
                failed,
            }) => {
                counters.send_calls += 1;
                counters.datagrams_sent += sent as u64;
                counters.datagrams_dropped_full += dropped_full as u64;
                counters.datagrams_failed += failed as u64;
            }
            None => counters.undeliverable += self.sockets.outbox.count(chain) as u64,
        }
    }
}

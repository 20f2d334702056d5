//! The generator: sends probes at a rate over many flows and books what arrives, on one thread.
//!
//! Against a server on this machine it spins, so that neither a timer nor a wake-up of its own is measured. Against a
//! server elsewhere it sleeps between packets.

use super::arrivals::{Arrivals, Received, Receiver};
use super::pacing::Pacer;
use super::probe::{Ledger, Phase};
use super::stream::StreamClient;
use anyhow::{Result, bail};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use udp_batch::{Backend, Outgoing, Sender, Trains};

/// Longest burst: what one `sendmmsg` takes here.
pub(crate) const MAX_BURST: usize = 64;

/// What packets leave by.
#[derive(Clone, Copy)]
pub(crate) enum Exit<'a> {
    /// A socket that is connected to where they go, which saves the kernel a route look-up per packet.
    Connected(&'a UdpSocket),
    Socket(&'a UdpSocket),
    /// A connection, written until all is taken.
    Stream(&'a StreamClient),
}

/// One direction of one session.
pub(crate) struct Flow<'a> {
    pub(crate) exit: Exit<'a>,
    /// The server, or a relayed address.
    pub(crate) to: SocketAddr,
    /// A whole datagram, with the head of the probe at `probe_at` still to be written.
    pub(crate) datagram: Vec<u8>,
    pub(crate) probe_at: usize,
    /// Where its packets must come from at the other end, if that is known.
    pub(crate) arrives_from: Option<SocketAddr>,
}

/// How packets are spread over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Packets per second over all flows.
    pub(crate) rate: u64,
    /// Packets of one flow sent back to back.
    pub(crate) burst: u64,
    /// Bytes that a peer receives in one packet.
    pub(crate) payload: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// How long the last packets may take to arrive.
    pub(crate) drain: Duration,
    pub(crate) idle: Idle,
}

/// What the generator does when nothing is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    Spin,
    Sleep,
}

/// The result of one run.
pub(crate) struct Outcome {
    pub(crate) ledger: Ledger,
    /// Packets that arrived in the window, whenever they were sent: what processor time of the window is divided by.
    pub(crate) arrived_in_window: u64,
    pub(crate) window: Duration,
    /// Share of the packets due that were not sent: for lack of processor time, or refused by the generator's own kernel.
    pub(crate) given_up: f64,
}

impl Outcome {
    /// Packets per second that arrived in the window.
    pub(crate) fn arrived_rate(&self) -> f64 {
        self.arrived_in_window as f64 / self.window.as_secs_f64().max(f64::EPSILON)
    }
}

/// Runs warm-up, window and drain. `edge` is called at both ends of the window, where processor time is read.
///
/// # Errors
/// A socket cannot be watched.
pub(crate) fn run(
    flows: Vec<Flow<'_>>,
    receivers: Vec<Receiver<'_>>,
    plan: &Plan,
    mut edge: impl FnMut(),
) -> Result<Outcome> {
    let mut generator = Generator::new(flows, receivers, plan)?;
    generator.send_for(plan.warm_up, Phase::WarmUp);
    edge();
    let before = generator.ledger.arrived;
    let began = Instant::now();
    let refused = generator.refused;
    let given_up = generator.send_for(plan.window, Phase::Measured) + generator.refused - refused;
    let window = began.elapsed();
    edge();
    let arrived_in_window = generator.ledger.arrived - before;
    generator.drain();
    let due = generator.ledger.sent + given_up;
    Ok(Outcome {
        arrived_in_window,
        window,
        given_up: if due == 0 {
            0.0
        } else {
            given_up as f64 / due as f64
        },
        ledger: generator.ledger,
    })
}

/// Sends so many packets in bursts, the next burst when the last has arrived; what has not arrived when the drain is over is lost.
///
/// # Errors
/// A socket cannot be watched, or nothing arrives at all.
pub(crate) fn run_in_step(
    flows: Vec<Flow<'_>>,
    receivers: Vec<Receiver<'_>>,
    plan: &Plan,
    packets: u64,
) -> Result<()> {
    let mut generator = Generator::new(flows, receivers, plan)?;
    while generator.ledger.sent < packets {
        generator.send(plan.burst, Phase::Measured);
        generator.drain();
    }
    if generator.ledger.delivered < packets / 2 {
        bail!("hardly any packet arrives");
    }
    Ok(())
}

struct Generator<'a> {
    plan: Plan,
    flows: Vec<Flow<'a>>,
    arrivals: Arrivals<'a>,
    ledger: Ledger,
    sender: Sender,
    /// Copies of a flow's datagram for a burst.
    burst: Vec<Vec<u8>>,
    next_flow: usize,
    /// Packets the kernel did not take.
    refused: u64,
    origin: Instant,
}

impl<'a> Generator<'a> {
    fn new(flows: Vec<Flow<'a>>, receivers: Vec<Receiver<'a>>, plan: &Plan) -> Result<Self> {
        Ok(Self {
            plan: *plan,
            ledger: Ledger::new(rand::random(), flows.len(), plan.payload),
            flows,
            arrivals: Arrivals::new(receivers)?,
            sender: Sender::new(Backend::detect(), MAX_BURST),
            burst: vec![Vec::new(); MAX_BURST],
            next_flow: 0,
            refused: 0,
            origin: Instant::now(),
        })
    }

    /// Sends and receives for `span`; returns how many packets were given up.
    fn send_for(&mut self, span: Duration, phase: Phase) -> u64 {
        let mut pacer = Pacer::new(
            self.plan.rate,
            self.plan.burst,
            backlog(self.plan.rate, self.plan.idle),
        );
        let began = Instant::now();
        loop {
            let elapsed = began.elapsed();
            if elapsed >= span {
                return pacer.given_up();
            }
            let elapsed_ns = nanoseconds(elapsed);
            let due = pacer.take(elapsed_ns);
            self.send(due, phase);
            let wait = match self.plan.idle {
                Idle::Spin => Duration::ZERO,
                Idle::Sleep => Duration::from_nanos(pacer.next_due_ns().saturating_sub(elapsed_ns))
                    .min(span.saturating_sub(elapsed)),
            };
            self.receive(wait);
        }
    }

    /// Sends `count` packets: a burst of one flow, then of the next.
    fn send(&mut self, count: u64, phase: Phase) {
        let mut left = count;
        while left > 0 && !self.flows.is_empty() {
            let burst = left.min(self.plan.burst).min(MAX_BURST as u64);
            self.send_burst(burst as usize, phase);
            self.next_flow = (self.next_flow + 1) % self.flows.len();
            left -= burst;
        }
    }

    fn send_burst(&mut self, count: usize, phase: Phase) {
        let now_ns = nanoseconds(self.origin.elapsed());
        let Some(flow) = self.flows.get_mut(self.next_flow) else {
            return;
        };
        let mut write = |datagram: &mut [u8]| {
            let probe = self.ledger.issue(self.next_flow, now_ns, phase);
            if let (Some(probe), Some(payload)) = (probe, datagram.get_mut(flow.probe_at..)) {
                probe.write(payload);
            }
        };
        if count == 1 {
            write(&mut flow.datagram);
            let taken = match flow.exit {
                Exit::Connected(socket) => socket.send(&flow.datagram).is_ok(),
                Exit::Socket(socket) => socket.send_to(&flow.datagram, flow.to).is_ok(),
                Exit::Stream(stream) => stream.write(&flow.datagram).is_ok(),
            };
            self.book_refused(u64::from(!taken), phase);
            return;
        }
        let (Exit::Connected(socket) | Exit::Socket(socket)) = flow.exit else {
            return;
        };
        for copy in self.burst.iter_mut().take(count) {
            copy.clear();
            copy.extend_from_slice(&flow.datagram);
            write(copy);
        }
        let packets = self.burst.iter().take(count).map(|bytes| Outgoing {
            to: flow.to,
            bytes,
            traffic_class: 0,
        });
        let mut trains = Trains::default();
        let report = (self.sender).send_trains(socket.as_fd(), &mut trains, packets);
        self.book_refused((report.dropped_full + report.failed) as u64, phase);
    }

    fn book_refused(&mut self, count: u64, phase: Phase) {
        self.refused += count;
        self.ledger.withdraw(count, phase);
    }

    fn receive(&mut self, wait: Duration) -> usize {
        let Self {
            arrivals,
            ledger,
            flows,
            origin,
            ..
        } = self;
        let mut now_ns = None;
        arrivals.poll(wait, |received: Received<'_>| {
            // One clock reading per batch: those in it were all there at that moment.
            let now_ns = *now_ns.get_or_insert_with(|| nanoseconds(origin.elapsed()));
            ledger.receive(received.payload, now_ns, |flow| {
                let expected = flows.get(flow).and_then(|flow| flow.arrives_from);
                expected.is_none_or(|expected| expected == received.from)
            });
        })
    }

    /// Waits for the packets still on their way, until none came for a while.
    fn drain(&mut self) {
        let mut quiet_since = Instant::now();
        while !self.ledger.is_complete() && quiet_since.elapsed() < self.plan.drain {
            let wait = if self.plan.idle == Idle::Spin {
                Duration::ZERO
            } else {
                self.plan.drain
            };
            if self.receive(wait) > 0 {
                quiet_since = Instant::now();
            }
        }
    }
}

/// What may be sent late. While spinning a millisecond's worth: enough to bridge the host's short absences, too little to
/// overflow a receive buffer at once. While sleeping a tenth of a second's: an ordinary process on a busy machine.
fn backlog(rate: u64, idle: Idle) -> u64 {
    let worth = match idle {
        Idle::Spin => rate / 1_000,
        Idle::Sleep => rate / 10,
    };
    worth.clamp(8, 256)
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::arrivals::Role;
    use super::super::probe::Probe;
    use super::super::socket;
    use super::*;

    const PAYLOAD: usize = 160;

    fn plan(burst: u64) -> Plan {
        Plan {
            rate: 4_000,
            burst,
            payload: PAYLOAD,
            warm_up: Duration::from_millis(10),
            window: Duration::from_millis(50),
            drain: Duration::from_millis(500),
            idle: Idle::Sleep,
        }
    }

    /// A flow without any relay: straight to `to`.
    fn straight(socket: &UdpSocket, to: SocketAddr, arrives_from: Option<SocketAddr>) -> Flow<'_> {
        Flow {
            exit: Exit::Socket(socket),
            to,
            datagram: Probe::blank(PAYLOAD),
            probe_at: 0,
            arrives_from,
        }
    }

    fn loopback() -> (UdpSocket, SocketAddr) {
        socket::peer("127.0.0.1".parse().unwrap()).unwrap()
    }

    #[test]
    fn everything_sent_over_a_perfect_path_is_delivered_once_and_in_order() {
        for burst in [1, 8] {
            let (sender, from) = loopback();
            let (peer, to) = loopback();
            let receivers = vec![Receiver {
                socket: &peer,
                role: Role::Peer,
            }];
            let mut edges = 0;
            let outcome = run(
                vec![straight(&sender, to, Some(from))],
                receivers,
                &plan(burst),
                || edges += 1,
            )
            .unwrap();
            let ledger = &outcome.ledger;
            assert!(ledger.sent > 0);
            assert_eq!(
                (
                    ledger.delivered,
                    ledger.duplicates,
                    ledger.reordered,
                    ledger.foreign
                ),
                (ledger.sent, 0, 0, 0)
            );
            assert_eq!(edges, 2);
        }
    }

    #[test]
    fn a_packet_from_the_wrong_relay_is_not_delivered() {
        let (sender, _) = loopback();
        let (peer, to) = loopback();
        let elsewhere = "127.0.0.1:1".parse().unwrap();
        let receivers = vec![Receiver {
            socket: &peer,
            role: Role::Peer,
        }];
        let mut plan = plan(1);
        plan.drain = Duration::from_millis(1);
        let outcome = run(
            vec![straight(&sender, to, Some(elsewhere))],
            receivers,
            &plan,
            || (),
        )
        .unwrap();
        assert_eq!(outcome.ledger.delivered, 0);
        assert!(outcome.ledger.foreign > 0);
    }

    #[test]
    fn an_echo_answers_known_relays_only() {
        let (sender, from) = loopback();
        let (echo, to) = loopback();
        for (known, expect_delivery) in [(vec![from], true), (Vec::new(), false)] {
            let receivers = vec![
                Receiver {
                    socket: &sender,
                    role: Role::Peer,
                },
                Receiver {
                    socket: &echo,
                    role: Role::Echo(known),
                },
            ];
            let mut plan = plan(1);
            plan.drain = Duration::from_millis(20);
            let outcome = run(
                vec![straight(&sender, to, Some(to))],
                receivers,
                &plan,
                || (),
            )
            .unwrap();
            assert_eq!(outcome.ledger.delivered > 0, expect_delivery);
        }
    }
}

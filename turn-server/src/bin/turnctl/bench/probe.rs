//! What a test packet carries, and the account of what came back: loss, duplicates, reordering, wrong routes, latency.
//!
//! ```text
//!  0       4       8               16              24      28 29
//!  ├─magic─┼─flow──┼─sequence──────┼─sent, ns──────┼─run───┼phase┼─filler…
//! ```

use super::histogram::Histogram;

/// Bytes a probe needs; payloads are at least this long.
pub(crate) const PROBE_LEN: usize = 29;
const MAGIC: [u8; 4] = *b"tpk1";
const FILLER: u8 = 0xa5;

/// Which part of a run a packet belongs to; only `Measured` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WarmUp,
    Measured,
}

/// One test packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) flow: u32,
    pub(crate) sequence: u64,
    /// Nanoseconds since the run's origin.
    pub(crate) sent_ns: u64,
    /// Drawn for each run, so that a straggler of the run before is not counted.
    pub(crate) run: u32,
    pub(crate) phase: Phase,
}

impl Probe {
    /// A payload of `len` bytes whose head [`Probe::write`] fills for each packet.
    pub(crate) fn blank(len: usize) -> Vec<u8> {
        vec![FILLER; len.max(PROBE_LEN)]
    }

    /// Writes the head of the payload; a shorter buffer is left alone.
    pub(crate) fn write(&self, payload: &mut [u8]) {
        let Some(head) = payload.first_chunk_mut::<PROBE_LEN>() else {
            return;
        };
        head[0..4].copy_from_slice(&MAGIC);
        head[4..8].copy_from_slice(&self.flow.to_be_bytes());
        head[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        head[16..24].copy_from_slice(&self.sent_ns.to_be_bytes());
        head[24..28].copy_from_slice(&self.run.to_be_bytes());
        head[28] = u8::from(self.phase == Phase::Measured);
    }

    /// Reads a payload of exactly `len` bytes; `None` for anything that is not a whole probe.
    pub(crate) fn read(payload: &[u8], len: usize) -> Option<Self> {
        if payload.len() != len || payload.last() != Some(&FILLER) && len > PROBE_LEN {
            return None;
        }
        let head = payload.first_chunk::<PROBE_LEN>()?;
        let (magic, rest) = head.split_first_chunk::<4>()?;
        let (flow, rest) = rest.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (sent_ns, rest) = rest.split_first_chunk::<8>()?;
        let (run, phase) = rest.split_first_chunk::<4>()?;
        (*magic == MAGIC).then_some(Self {
            flow: u32::from_be_bytes(*flow),
            sequence: u64::from_be_bytes(*sequence),
            sent_ns: u64::from_be_bytes(*sent_ns),
            run: u32::from_be_bytes(*run),
            phase: if phase == [1] {
                Phase::Measured
            } else {
                Phase::WarmUp
            },
        })
    }
}

/// The account of one run over all its flows.
pub(crate) struct Ledger {
    run: u32,
    payload_len: usize,
    flows: Vec<FlowAccount>,
    /// Distinct packets of the measured phase that were sent and that arrived.
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    /// Distinct packets of any phase that arrived: what processor time is divided by.
    pub(crate) arrived: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    /// Payloads that are no probe of this run, or came by another flow's relayed address.
    pub(crate) foreign: u64,
    pub(crate) latency: Histogram,
}

#[derive(Default)]
struct FlowAccount {
    next: u64,
    highest: Option<u64>,
    seen: Vec<u64>,
}

impl Ledger {
    pub(crate) fn new(run: u32, flows: usize, payload_len: usize) -> Self {
        Self {
            run,
            payload_len: payload_len.max(PROBE_LEN),
            flows: (0..flows).map(|_| FlowAccount::default()).collect(),
            sent: 0,
            delivered: 0,
            arrived: 0,
            duplicates: 0,
            reordered: 0,
            foreign: 0,
            latency: Histogram::new(),
        }
    }

    /// The next probe of a flow, booked as sent; `None` for an unknown flow.
    pub(crate) fn issue(&mut self, flow: usize, sent_ns: u64, phase: Phase) -> Option<Probe> {
        let account = self.flows.get_mut(flow)?;
        let sequence = account.next;
        account.next += 1;
        self.sent += u64::from(phase == Phase::Measured);
        Some(Probe {
            flow: u32::try_from(flow).ok()?,
            sequence,
            sent_ns,
            run: self.run,
            phase,
        })
    }

    /// Takes back the booking of packets that our own kernel refused to send: no server lost them.
    pub(crate) fn withdraw(&mut self, count: u64, phase: Phase) {
        if phase == Phase::Measured {
            self.sent = self.sent.saturating_sub(count);
        }
    }

    /// Books an arrived payload; `came_by(flow)` says whether it arrived the way that flow's packets must.
    pub(crate) fn receive(
        &mut self,
        payload: &[u8],
        now_ns: u64,
        came_by: impl FnOnce(usize) -> bool,
    ) {
        let Some(probe) =
            Probe::read(payload, self.payload_len).filter(|probe| probe.run == self.run)
        else {
            self.foreign += 1;
            return;
        };
        let flow = probe.flow as usize;
        let Some(account) = self
            .flows
            .get_mut(flow)
            .filter(|account| probe.sequence < account.next && came_by(flow))
        else {
            self.foreign += 1;
            return;
        };
        if !account.mark(probe.sequence) {
            self.duplicates += 1;
            return;
        }
        self.reordered += u64::from(
            account
                .highest
                .is_some_and(|highest| probe.sequence < highest),
        );
        account.highest = account.highest.max(Some(probe.sequence));
        self.arrived += 1;
        if probe.phase == Phase::Measured {
            self.delivered += 1;
            self.latency.record(now_ns.saturating_sub(probe.sent_ns));
        }
    }

    /// Whether every measured packet is back: no reason to wait any longer.
    pub(crate) fn is_complete(&self) -> bool {
        self.delivered >= self.sent
    }

    /// Lost share of the measured packets, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        self.sent.saturating_sub(self.delivered) as f64 / self.sent as f64
    }
}

impl FlowAccount {
    /// False when the packet was there before. `sequence` is below `next`, so the bitmap is bounded by what was sent.
    fn mark(&mut self, sequence: u64) -> bool {
        let (word, bit) = ((sequence / 64) as usize, 1_u64 << (sequence % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let Some(slot) = self.seen.get_mut(word) else {
            return false;
        };
        let new = *slot & bit == 0;
        *slot |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(probe: &Probe, len: usize) -> Vec<u8> {
        let mut payload = Probe::blank(len);
        probe.write(&mut payload);
        payload
    }

    #[test]
    fn a_probe_reads_back_as_written() {
        let probe = Probe {
            flow: 7,
            sequence: 1 << 40,
            sent_ns: 123_456_789,
            run: 99,
            phase: Phase::Measured,
        };
        assert_eq!(Probe::read(&payload(&probe, 160), 160), Some(probe));
    }

    #[test]
    fn truncated_or_foreign_payloads_are_not_probes() {
        let probe = Probe {
            flow: 0,
            sequence: 0,
            sent_ns: 0,
            run: 1,
            phase: Phase::WarmUp,
        };
        let whole = payload(&probe, 160);
        assert_eq!(Probe::read(&whole[..159], 160), None);
        assert_eq!(Probe::read(&[0; 160], 160), None);
        let mut cut = whole;
        cut[159] = 0;
        assert_eq!(Probe::read(&cut, 160), None, "the tail is checked too");
    }

    #[test]
    fn loss_duplicates_and_reordering_are_told_apart() {
        let mut ledger = Ledger::new(1, 1, 40);
        let sent: Vec<_> = (0..4)
            .map(|at| payload(&ledger.issue(0, at, Phase::Measured).unwrap(), 40))
            .collect();
        for index in [0, 2, 1, 1] {
            ledger.receive(&sent[index], 10, |_| true);
        }
        assert_eq!(
            (
                ledger.sent,
                ledger.delivered,
                ledger.duplicates,
                ledger.reordered
            ),
            (4, 3, 1, 1)
        );
        assert!((ledger.loss() - 0.25).abs() < 1e-12);
        assert!(!ledger.is_complete());
    }

    #[test]
    fn warm_up_packets_arrive_but_do_not_count() {
        let mut ledger = Ledger::new(1, 1, 40);
        let warm = payload(&ledger.issue(0, 0, Phase::WarmUp).unwrap(), 40);
        ledger.receive(&warm, 5, |_| true);
        assert_eq!((ledger.sent, ledger.delivered, ledger.arrived), (0, 0, 1));
        assert_eq!(ledger.latency.quantile(0.5), None);
    }

    #[test]
    fn packets_of_another_run_or_route_are_foreign() {
        let mut ledger = Ledger::new(1, 2, 40);
        let good = payload(&ledger.issue(0, 0, Phase::Measured).unwrap(), 40);
        let mut other = Ledger::new(2, 1, 40);
        let stale = payload(&other.issue(0, 0, Phase::Measured).unwrap(), 40);
        ledger.receive(&stale, 1, |_| true);
        ledger.receive(&good, 1, |_| false);
        assert_eq!((ledger.foreign, ledger.delivered), (2, 0));
    }

    #[test]
    fn a_sequence_never_sent_is_foreign() {
        let mut ledger = Ledger::new(1, 1, 40);
        let forged = Probe {
            flow: 0,
            sequence: u64::MAX,
            sent_ns: 0,
            run: 1,
            phase: Phase::Measured,
        };
        ledger.receive(&payload(&forged, 40), 1, |_| true);
        let unknown = Probe {
            flow: 9,
            sequence: 0,
            ..forged
        };
        ledger.receive(&payload(&unknown, 40), 1, |_| true);
        assert_eq!((ledger.foreign, ledger.arrived), (2, 0));
    }

    #[test]
    fn what_was_never_sent_is_not_lost() {
        let mut ledger = Ledger::new(1, 1, 40);
        ledger.issue(0, 0, Phase::Measured).unwrap();
        ledger.withdraw(1, Phase::Measured);
        assert_eq!((ledger.sent, ledger.loss()), (0, 0.0));
    }

    #[test]
    fn latency_is_arrival_minus_departure() {
        let mut ledger = Ledger::new(1, 1, 40);
        let sent = payload(&ledger.issue(0, 1_000, Phase::Measured).unwrap(), 40);
        ledger.receive(&sent, 1_050, |_| true);
        assert_eq!(ledger.latency.quantile(0.5), Some(50));
    }
}

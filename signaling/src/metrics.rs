//! What the service has done, counted, in Prometheus' text format.
//!
//! In: the counters and the page. Not in: who may see it (the program's own listener), and what is counted where it happens.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::calllog::CallLog;
use crate::hub::{Census, Outcome};

/// Counted since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Messages read.
    pub(crate) messages: Counter,
    /// Times that a client was to have ICE servers and there were none.
    pub(crate) ice_failures: Counter,
    /// Connections that were let in, by protocol.
    pub(crate) connections: Counters,
    /// Refusals, by their code.
    pub(crate) refusals: Counters,
    /// Close frames sent, by their code.
    pub(crate) closes: Counters,
    /// Clients that were not let in, by why.
    pub(crate) unwelcome: Counters,
    /// Calls that are over, by how they ended.
    pub(crate) calls_ended: Counters,
}

/// Something that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Several of a kind, told apart by a word of ours: clients cannot make any up.
#[derive(Default)]
pub(crate) struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    pub(crate) fn count(&self, word: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(word).or_default() += 1;
    }

    fn all(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(word, count)| (*word, *count)).collect()
    }
}

/// The word of an outcome.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ended => "ended",
        Outcome::Disconnected => "disconnected",
        Outcome::Rejected => "rejected",
        Outcome::Timeout => "timeout",
        Outcome::Cancelled => "cancelled",
        Outcome::Unavailable => "unavailable",
    }
}

impl Metrics {
    /// Writes the page.
    pub(crate) fn page(&self, census: Census, draining: bool, log: Option<&CallLog>) -> String {
        let mut page = Page::default();
        page.gauge("connections", "Open connections.", census.connections);
        page.gauge("users", "Users with a connection or a call.", census.users);
        page.gauge("rooms", "Rooms with a member.", census.rooms);
        page.gauge("calls", "Calls, ringing ones included.", census.calls);
        page.gauge("peers", "Ids of PeerJS clients.", census.peers);
        page.gauge(
            "waiting_bytes",
            "Bytes that wait for absent PeerJS clients.",
            census.peer_bytes,
        );
        page.gauge(
            "draining",
            "1 while clients are sent elsewhere.",
            usize::from(draining),
        );
        let one = |counter: &Counter| vec![("", counter.0.load(Ordering::Relaxed))];
        page.counter("messages_total", "Messages read.", "", one(&self.messages));
        page.counter(
            "ice_failures_total",
            "Times that a client was to have ICE servers and there were none.",
            "",
            one(&self.ice_failures),
        );
        for (name, help, label, counters) in [
            (
                "connections_total",
                "Clients let in.",
                "protocol",
                &self.connections,
            ),
            (
                "refusals_total",
                "Requests refused.",
                "code",
                &self.refusals,
            ),
            ("closes_total", "Close frames sent.", "code", &self.closes),
            (
                "unwelcome_total",
                "Clients not let in.",
                "reason",
                &self.unwelcome,
            ),
            (
                "calls_ended_total",
                "Calls that are over.",
                "outcome",
                &self.calls_ended,
            ),
        ] {
            page.counter(name, help, label, counters.all());
        }
        if let Some(log) = log {
            let counts = log.counts();
            let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let entries = vec![
                ("written", read(&counts.written)),
                ("dropped", read(&counts.dropped)),
            ];
            page.counter(
                "call_log_entries_total",
                "Calls written to the call log.",
                "result",
                entries,
            );
            let told = vec![
                ("told", read(&counts.told)),
                ("given_up", read(&counts.untold)),
            ];
            page.counter(
                "webhook_calls_total",
                "Calls told to the webhook.",
                "result",
                told,
            );
        }
        page.0
    }
}

/// The page as it grows. Writing to a text cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(
            self.0,
            "# HELP signaling_{name} {help}\n# TYPE signaling_{name} {kind}"
        );
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.head(name, help, "gauge");
        let _ = writeln!(self.0, "signaling_{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, label: &str, values: Vec<(&str, u64)>) {
        self.head(name, help, "counter");
        for (word, value) in values {
            let _ = match label {
                "" => writeln!(self.0, "signaling_{name} {value}"),
                label => writeln!(self.0, "signaling_{name}{{{label}=\"{word}\"}} {value}"),
            };
        }
    }
}

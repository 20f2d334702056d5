//! Metrics under names of our own: by Prometheus' rules, in base units.

use turn_io::{DEPTHS, Stats, TURN_TIMES};
use turn_proto::{
    ERROR_CODES, EndReason, Good, Holder, METHODS, SESSION_BYTES, SESSION_TIMES, Shared,
};

use super::{
    coturn::dropped,
    text::{Kind, Text, Unit},
};

/// Writes all of them.
pub(super) fn write(text: &mut Text, stats: &Stats, shared: &Shared, started: u64) {
    text.family(
        "turnpike_build_info",
        Kind::Gauge,
        "The version that runs",
        [([("version", env!("CARGO_PKG_VERSION"))], 1)],
    );
    text.gauge(
        "turnpike_start_time_seconds",
        "When the server started, in seconds since 1970",
        started,
    );
    text.gauge(
        "turnpike_draining",
        "1 while no new allocations are taken",
        shared.is_draining().into(),
    );
    sessions(text, stats, shared);
    requests(text, stats);
    traffic(text, stats);
    limits(text, stats);
    connections(text, stats);
    dtls(text, stats);
    workers(text, stats);
}

fn sessions(text: &mut Text, stats: &Stats, shared: &Shared) {
    let relay = &stats.relay;
    text.counter(
        "turnpike_allocations_created_total",
        "Allocations made",
        relay.allocations_created,
    );
    let reasons = EndReason::ALL.map(EndReason::name);
    text.by(
        ("turnpike_sessions_ended_total", Kind::Counter),
        "Sessions that have ended, by reason",
        "reason",
        reasons.into_iter().zip(relay.ended.iter()),
    );
    text.histogram(
        "turnpike_session_duration_seconds",
        "How long sessions have lasted that have ended",
        (&relay.session_times, &SESSION_TIMES),
        Unit::Micro,
    );
    text.histogram(
        "turnpike_session_bytes",
        "Bytes that ended sessions have received from and sent to their clients",
        (&relay.session_bytes, &SESSION_BYTES),
        Unit::One,
    );
    text.gauge(
        "turnpike_permissions",
        "Permissions held by allocations",
        relay.permissions,
    );
    text.gauge(
        "turnpike_channels",
        "Channels bound by allocations",
        relay.channels,
    );
    text.gauge(
        "turnpike_peer_connections",
        "TCP connections with peers",
        relay.peer_connections,
    );
    text.gauge(
        "turnpike_relay_ports_used",
        "Relay ports claimed",
        shared.ports.claimed() as u64,
    );
    text.gauge(
        "turnpike_relay_ports",
        "Relay ports there are",
        shared.ports.capacity() as u64,
    );
}

fn requests(text: &mut Text, stats: &Stats) {
    let relay = &stats.relay;
    let methods = METHODS.into_iter().zip(relay.requests.iter());
    text.by(
        ("turnpike_requests_total", Kind::Counter),
        "Requests received, by method",
        "method",
        [("binding", relay.binding_requests)]
            .into_iter()
            .chain(methods),
    );
    text.by(
        ("turnpike_responses_total", Kind::Counter),
        "Answers to requests other than Binding, by outcome",
        "outcome",
        [
            ("success", relay.successes),
            ("error", relay.errors),
            ("stale_nonce", relay.stale_nonces),
        ],
    );
    let codes = ERROR_CODES.map(|code| code.to_string());
    text.by(
        ("turnpike_errors_total", Kind::Counter),
        "Requests refused, by error code",
        "code",
        (codes.iter().map(String::as_str)).zip(relay.errors_by_code.iter()),
    );
    text.counter(
        "turnpike_unauthenticated_replies_withheld_total",
        "Answers to unauthenticated UDP requests withheld by unauth-reply-rate",
        relay.replies_withheld,
    );
}

fn traffic(text: &mut Text, stats: &Stats) {
    let traffic = &stats.relay.traffic;
    for (name, help, client, peer) in [
        (
            "turnpike_received_packets_total",
            "Packets received and relayed",
            traffic.client_received_packets,
            traffic.peer_received_packets,
        ),
        (
            "turnpike_received_bytes_total",
            "Bytes received and relayed",
            traffic.client_received_bytes,
            traffic.peer_received_bytes,
        ),
        (
            "turnpike_sent_packets_total",
            "Packets sent",
            traffic.client_sent_packets,
            traffic.peer_sent_packets,
        ),
        (
            "turnpike_sent_bytes_total",
            "Bytes sent",
            traffic.client_sent_bytes,
            traffic.peer_sent_bytes,
        ),
    ] {
        let help = format!("{help}: messages of clients, payloads of peers");
        let sides = [("client", client), ("peer", peer)];
        text.by((name, Kind::Counter), help, "side", sides);
    }
    text.by(
        ("turnpike_dropped_packets_total", Kind::Counter),
        "Packets not relayed, by reason",
        "reason",
        dropped(stats),
    );
}

fn limits(text: &mut Text, stats: &Stats) {
    let all = Holder::ALL
        .iter()
        .flat_map(|holder| Good::ALL.iter().map(move |good| (*holder, *good)));
    let series = all.map(|(holder, good)| {
        let labels = [("holder", holder.name()), ("good", good.name())];
        (labels, stats.relay.limits.of(holder, good))
    });
    text.family(
        "turnpike_limit_reached_total",
        Kind::Counter,
        "Requests refused and packets dropped by a limit",
        series,
    );
}

fn connections(text: &mut Text, stats: &Stats) {
    let io = &stats.io;
    text.gauge(
        "turnpike_streams",
        "TCP connections of clients",
        io.streams_open,
    );
    text.counter(
        "turnpike_streams_accepted_total",
        "TCP connections accepted",
        io.streams_accepted,
    );
    text.by(
        ("turnpike_streams_closed_total", Kind::Counter),
        "TCP connections closed by the server, by reason",
        "reason",
        [
            ("client_denied", io.streams_denied),
            ("too_many", io.streams_refused),
            ("displaced", io.streams_displaced),
            ("no_turn", io.streams_misframed),
            ("no_allocation", io.streams_idle),
            ("not_reading", io.streams_overflowed),
            ("not_opened", io.streams_unopened),
        ],
    );
    text.counter(
        "turnpike_tls_handshakes_total",
        "TLS handshakes completed",
        io.tls_handshakes,
    );
    text.counter(
        "turnpike_https_connections_total",
        "Connections handed over because they speak HTTP",
        io.streams_handed_over,
    );
}

fn dtls(text: &mut Text, stats: &Stats) {
    let io = &stats.io;
    text.gauge(
        "turnpike_dtls_associations",
        "DTLS associations, those in their handshake included",
        io.dtls_associations,
    );
    text.counter(
        "turnpike_dtls_cookies_asked_total",
        "Clients over DTLS asked to show that they receive",
        io.dtls_asked,
    );
    text.counter(
        "turnpike_dtls_handshakes_total",
        "DTLS handshakes completed",
        io.dtls_handshakes,
    );
    text.by(
        ("turnpike_dtls_closed_total", Kind::Counter),
        "DTLS associations ended by the server, by reason",
        "reason",
        [
            ("refused", io.dtls_refused),
            ("displaced", io.dtls_displaced),
            ("no_handshake", io.dtls_unopened),
            ("no_allocation", io.dtls_idle),
        ],
    );
}

fn workers(text: &mut Text, stats: &Stats) {
    let io = &stats.io;
    text.counter(
        "turnpike_worker_turns_total",
        "Times that a worker woke up",
        io.turns,
    );
    text.histogram(
        "turnpike_worker_turn_duration_seconds",
        "How long a worker's turn takes, of every sixteenth: what a packet may have to wait",
        (&io.turn_times, &TURN_TIMES),
        Unit::Micro,
    );
    text.histogram(
        "turnpike_outbox_packets",
        "Packets that waited to be sent, each time that they were",
        (&io.outbox_depths, &DEPTHS),
        Unit::One,
    );
    text.histogram(
        "turnpike_mailbox_messages",
        "Messages that waited for a worker, each time that it looked",
        (&io.mailbox_depths, &DEPTHS),
        Unit::One,
    );
    text.by(
        ("turnpike_socket_errors_total", Kind::Counter),
        "Errors of sockets, by kind",
        "kind",
        [
            ("receive", io.receive_errors),
            ("icmp", io.icmp_errors),
            ("accept", io.accept_errors),
        ],
    );
}

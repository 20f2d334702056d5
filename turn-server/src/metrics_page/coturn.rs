//! Metrics under the names that coturn has for them.

use turn_io::Stats;
use turn_proto::Traffic;

use super::{
    UserTraffic,
    text::{Kind, Text},
};

/// Packets that were not relayed, by reason.
pub(crate) fn dropped(stats: &Stats) -> [(&'static str, u64); 14] {
    let (relay, io) = (&stats.relay, &stats.io);
    [
        ("malformed", relay.dropped_malformed),
        ("unexpected", relay.dropped_unexpected),
        ("client_without_permission", relay.dropped_client),
        ("peer_without_permission", relay.dropped_peer),
        ("peer_denied", relay.dropped_policy),
        ("client_denied", relay.dropped_denied_client),
        ("send_queue_full", io.datagrams_dropped_full),
        ("send_failed", io.datagrams_failed),
        ("socket_closed", io.undeliverable),
        ("stream_queue_full", io.stream_messages_dropped),
        ("worker_queue_full", io.passed_dropped),
        ("event_queue_full", io.events_dropped),
        ("no_dtls_association", io.dtls_stray),
        ("listener_retired", io.datagrams_unwanted),
    ]
}

/// Writes all of them.
pub(super) fn write(text: &mut Text, stats: &Stats, realm: &str, users: Option<&UserTraffic>) {
    let relay = &stats.relay;
    text.counter(
        "stun_binding_request",
        "Binding requests received",
        relay.binding_requests,
    );
    text.counter(
        "stun_binding_response",
        "Binding requests answered with success",
        relay.binding_responses,
    );
    text.counter(
        "stun_binding_error",
        "Binding requests answered with an error",
        relay.binding_errors,
    );
    strangers(text, stats);
    traffic(text, stats, realm, users);
    text.by(
        ("turn_total_allocations", Kind::Gauge),
        "Allocations alive, by the client's transport",
        "type",
        [
            ("UDP", relay.allocations_udp),
            ("TCP", relay.allocations_tcp),
            ("TLS/TCP", relay.allocations_tls),
            ("DTLS", relay.allocations_dtls),
        ],
    );
    packets(text, stats);
}

fn strangers(text: &mut Text, stats: &Stats) {
    let (asked, withheld) = (stats.relay.unauthorized, stats.relay.unauthorized_withheld);
    text.counter(
        "turn_unauthenticated_401_requests",
        "Requests without valid credentials",
        asked,
    );
    text.counter(
        "turn_unauthenticated_401_responses",
        "Answers with error 401",
        asked.saturating_sub(withheld),
    );
    text.counter(
        "turn_unauthenticated_401_dropped_responses",
        "Answers with error 401 withheld because their network had too many",
        withheld,
    );
}

/// coturn moves these when a session ends; here they are live.
fn traffic(text: &mut Text, stats: &Stats, realm: &str, users: Option<&UserTraffic>) {
    let by_user = users.map(UserTraffic::sums);
    for (place, (name, help, value)) in counts(&stats.relay.traffic).into_iter().enumerate() {
        let metric = format!("turn_traffic_{name}");
        match &by_user {
            None => text.by((metric, Kind::Counter), help, "realm", [(realm, value)]),
            // In coturn too, either the one label or both: a sum over all series counts nothing twice.
            Some(users) => {
                let series = users.iter().map(|(user, sum)| {
                    let labels = [("realm", realm), ("user", &**user)];
                    (labels, counts(sum)[place].2)
                });
                text.family(metric, Kind::Counter, help, series);
            }
        }
        text.counter(format!("turn_total_traffic_{name}"), help, value);
    }
}

/// The ends of names, what they count, and how much it is.
fn counts(traffic: &Traffic) -> [(&'static str, &'static str, u64); 8] {
    [
        (
            "rcvp",
            "Packets received from clients and relayed",
            traffic.client_received_packets,
        ),
        (
            "rcvb",
            "Bytes received from clients and relayed",
            traffic.client_received_bytes,
        ),
        (
            "sentp",
            "Packets sent to clients",
            traffic.client_sent_packets,
        ),
        ("sentb", "Bytes sent to clients", traffic.client_sent_bytes),
        (
            "peer_rcvp",
            "Packets received from peers and relayed",
            traffic.peer_received_packets,
        ),
        (
            "peer_rcvb",
            "Bytes received from peers and relayed",
            traffic.peer_received_bytes,
        ),
        (
            "peer_sentp",
            "Packets sent to peers",
            traffic.peer_sent_packets,
        ),
        ("peer_sentb", "Bytes sent to peers", traffic.peer_sent_bytes),
    ]
}

fn packets(text: &mut Text, stats: &Stats) {
    let (io, traffic) = (&stats.io, &stats.relay.traffic);
    text.counter(
        "turn_packet_processed",
        "Packets relayed, both ways",
        traffic.client_received_packets + traffic.peer_received_packets,
    );
    text.counter(
        "turn_packet_dropped",
        "Packets not relayed",
        dropped(stats).iter().map(|(_, count)| count).sum(),
    );
    for (name, help, value) in [
        (
            "turn_udp_recvmmsg_calls",
            "Batches of datagrams asked for",
            io.receive_calls,
        ),
        (
            "turn_udp_recvmmsg_packets",
            "Datagrams received",
            io.datagrams_received,
        ),
        (
            "turn_udp_sendmmsg_flushes",
            "Batches of datagrams sent",
            io.send_calls,
        ),
        (
            "turn_udp_sendmmsg_datagrams",
            "Datagrams sent",
            io.datagrams_sent,
        ),
    ] {
        text.counter(name, help, value);
    }
}

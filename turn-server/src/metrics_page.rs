//! Counters by their names for the outside: coturn's, so that dashboards keep working, and our own beside them.
//!
//! coturn moves its traffic counters when a session ends; here they are live.

use metrics::{counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use turn_io::Stats;
use turn_proto::{Good, Holder, Shared};

/// Renders what the workers have counted in Prometheus' text format.
pub(crate) struct MetricsPage {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Default for MetricsPage {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, describe);
        Self { recorder, handle }
    }
}

impl MetricsPage {
    /// Renders the page for these counters.
    pub(crate) fn render(&self, stats: &Stats, shared: &Shared) -> String {
        with_local_recorder(&self.recorder, || {
            binding_and_errors(stats);
            traffic(stats);
            allocations(stats, shared);
            drops(stats);
            limits(stats);
            gauge!("turnpike_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        });
        self.handle.render()
    }
}

fn describe() {
    describe_counter!("stun_binding_request", "Binding requests received");
    describe_counter!(
        "stun_binding_response",
        "Binding requests answered with success"
    );
    describe_counter!(
        "stun_binding_error",
        "Binding requests answered with an error"
    );
    describe_counter!(
        "turn_unauthenticated_401_requests",
        "Requests without valid credentials"
    );
    describe_counter!(
        "turn_unauthenticated_401_responses",
        "Answers with error 401"
    );
    describe_counter!(
        "turnpike_unauthenticated_replies_withheld_total",
        "Answers to unauthenticated UDP requests withheld by unauth-reply-rate"
    );
    describe_counter!(
        "turn_total_traffic_rcvp",
        "Packets received from clients and relayed"
    );
    describe_counter!(
        "turn_total_traffic_rcvb",
        "Bytes received from clients and relayed"
    );
    describe_counter!("turn_total_traffic_sentp", "Packets sent to clients");
    describe_counter!("turn_total_traffic_sentb", "Bytes sent to clients");
    describe_counter!(
        "turn_total_traffic_peer_rcvp",
        "Packets received from peers and relayed"
    );
    describe_counter!(
        "turn_total_traffic_peer_rcvb",
        "Bytes received from peers and relayed"
    );
    describe_counter!("turn_total_traffic_peer_sentp", "Packets sent to peers");
    describe_counter!("turn_total_traffic_peer_sentb", "Bytes sent to peers");
    describe_gauge!(
        "turn_total_allocations",
        "Allocations alive, by the client's transport"
    );
    describe_gauge!("turnpike_permissions", "Permissions held by allocations");
    describe_gauge!("turnpike_channels", "Channels bound by allocations");
    describe_gauge!("turnpike_relay_ports_used", "Relay ports claimed");
    describe_gauge!("turnpike_relay_ports", "Relay ports there are");
    describe_counter!("turnpike_allocations_created_total", "Allocations made");
    describe_counter!(
        "turnpike_responses_total",
        "Answers to requests other than Binding, by outcome"
    );
    describe_counter!(
        "turnpike_dropped_packets_total",
        "Packets not relayed, by reason"
    );
    describe_gauge!("turnpike_streams", "TCP connections of clients");
    describe_counter!(
        "turnpike_streams_closed_total",
        "TCP connections closed by the server, by reason"
    );
    describe_counter!(
        "turnpike_limit_reached_total",
        "Requests refused and packets dropped by a limit"
    );
    describe_counter!("turnpike_tls_handshakes_total", "TLS handshakes completed");
    describe_gauge!("turnpike_dtls_associations", "DTLS associations of clients");
    describe_counter!(
        "turnpike_dtls_handshakes_total",
        "DTLS handshakes completed"
    );
    describe_counter!(
        "turnpike_dtls_cookies_asked_total",
        "Clients over DTLS asked to show that they receive"
    );
    describe_counter!(
        "turnpike_dtls_closed_total",
        "DTLS associations ended or not begun by the server, by reason"
    );
    describe_counter!(
        "turnpike_https_connections_total",
        "Connections on the ports for TLS that speak HTTP"
    );
    describe_gauge!("turnpike_build_info", "The version that runs");
}

fn binding_and_errors(stats: &Stats) {
    let relay = &stats.relay;
    counter!("stun_binding_request").absolute(relay.binding_requests);
    counter!("stun_binding_response").absolute(relay.binding_responses);
    counter!("stun_binding_error").absolute(relay.binding_errors);
    counter!("turn_unauthenticated_401_requests").absolute(relay.unauthorized);
    counter!("turn_unauthenticated_401_responses").absolute(
        relay
            .unauthorized
            .saturating_sub(relay.unauthorized_withheld),
    );
    counter!("turnpike_unauthenticated_replies_withheld_total").absolute(relay.replies_withheld);
    counter!("turnpike_responses_total", "outcome" => "success").absolute(relay.successes);
    counter!("turnpike_responses_total", "outcome" => "error").absolute(relay.errors);
    counter!("turnpike_responses_total", "outcome" => "stale_nonce").absolute(relay.stale_nonces);
}

fn traffic(stats: &Stats) {
    let traffic = &stats.relay.traffic;
    counter!("turn_total_traffic_rcvp").absolute(traffic.client_received_packets);
    counter!("turn_total_traffic_rcvb").absolute(traffic.client_received_bytes);
    counter!("turn_total_traffic_sentp").absolute(traffic.client_sent_packets);
    counter!("turn_total_traffic_sentb").absolute(traffic.client_sent_bytes);
    counter!("turn_total_traffic_peer_rcvp").absolute(traffic.peer_received_packets);
    counter!("turn_total_traffic_peer_rcvb").absolute(traffic.peer_received_bytes);
    counter!("turn_total_traffic_peer_sentp").absolute(traffic.peer_sent_packets);
    counter!("turn_total_traffic_peer_sentb").absolute(traffic.peer_sent_bytes);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating-point in this format; counts stay far below 2^52"
)]
fn allocations(stats: &Stats, shared: &Shared) {
    let relay = &stats.relay;
    for (kind, alive) in [
        ("UDP", relay.allocations_udp),
        ("TCP", relay.allocations_tcp),
        ("TLS/TCP", relay.allocations_tls),
        ("DTLS", relay.allocations_dtls),
    ] {
        gauge!("turn_total_allocations", "type" => kind).set(alive as f64);
    }
    counter!("turnpike_allocations_created_total").absolute(relay.allocations_created);
    gauge!("turnpike_permissions").set(relay.permissions as f64);
    gauge!("turnpike_channels").set(relay.channels as f64);
    gauge!("turnpike_relay_ports_used").set(shared.ports.claimed() as f64);
    gauge!("turnpike_relay_ports").set(shared.ports.capacity() as f64);
    counter!("turnpike_tls_handshakes_total").absolute(stats.io.tls_handshakes);
    counter!("turnpike_https_connections_total").absolute(stats.io.streams_handed_over);
    gauge!("turnpike_streams").set(stats.io.streams_open as f64);
    let io = &stats.io;
    gauge!("turnpike_dtls_associations").set(io.dtls_associations as f64);
    counter!("turnpike_dtls_handshakes_total").absolute(io.dtls_handshakes);
    counter!("turnpike_dtls_cookies_asked_total").absolute(io.dtls_asked);
    for (reason, count) in [
        ("refused", io.dtls_refused),
        ("no_handshake", io.dtls_unopened),
        ("no_allocation", io.dtls_idle),
    ] {
        counter!("turnpike_dtls_closed_total", "reason" => reason).absolute(count);
    }
    for (reason, count) in [
        ("client_denied", io.streams_denied),
        ("too_many", io.streams_refused),
        ("no_turn", io.streams_misframed),
        ("no_allocation", io.streams_idle),
        ("not_reading", io.streams_overflowed),
    ] {
        counter!("turnpike_streams_closed_total", "reason" => reason).absolute(count);
    }
}

fn limits(stats: &Stats) {
    for holder in Holder::ALL {
        for good in Good::ALL {
            let count = stats.relay.limits.of(holder, good);
            counter!("turnpike_limit_reached_total", "holder" => holder.name(), "good" => good.name())
                .absolute(count);
        }
    }
}

fn drops(stats: &Stats) {
    let (relay, io) = (&stats.relay, &stats.io);
    for (reason, count) in [
        ("malformed", relay.dropped_malformed),
        ("unexpected", relay.dropped_unexpected),
        ("client_without_permission", relay.dropped_client),
        ("peer_without_permission", relay.dropped_peer),
        ("peer_denied", relay.dropped_policy),
        ("client_denied", relay.dropped_denied_client),
        ("send_queue_full", io.datagrams_dropped_full),
        ("send_failed", io.datagrams_failed),
        ("stream_queue_full", io.stream_messages_dropped),
        ("no_dtls_association", io.dtls_stray),
        ("event_queue_full", io.events_dropped),
    ] {
        counter!("turnpike_dropped_packets_total", "reason" => reason).absolute(count);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use turn_io::Stats;
    use turn_proto::Shared;

    use super::MetricsPage;

    #[test]
    fn every_name_has_a_description_and_a_value() {
        let page = MetricsPage::default();
        let shared = Shared::new(&["127.0.0.1".parse().unwrap()], 50_000..=50_009, 0, 0);
        let mut stats = Stats::default();
        stats.relay.traffic.client_received_bytes = 1234;
        stats.relay.allocations_tcp = 7;
        let text = page.render(&stats, &shared);
        assert!(text.contains("\nturn_total_traffic_rcvb 1234\n"), "{text}");
        assert!(
            text.contains("turn_total_allocations{type=\"TCP\"} 7\n"),
            "{text}"
        );
        assert!(text.contains("turnpike_relay_ports 10\n"), "{text}");
        let names = |prefix: &str| -> BTreeSet<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
            lines
                .filter_map(|line| line.split([' ', '{']).next().map(str::to_owned))
                .collect()
        };
        let values: BTreeSet<String> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .filter_map(|line| line.split([' ', '{']).next().map(str::to_owned))
            .collect();
        assert_eq!(names("# HELP "), values);
        assert_eq!(names("# TYPE "), values);
    }

    #[test]
    fn a_second_look_shows_the_second_count() {
        let page = MetricsPage::default();
        let shared = Shared::new(&[], 50_000..=50_009, 0, 0);
        let mut stats = Stats::default();
        stats.relay.binding_requests = 1;
        page.render(&stats, &shared);
        stats.relay.binding_requests = 5;
        assert!(
            page.render(&stats, &shared)
                .contains("\nstun_binding_request 5\n")
        );
    }
}

//! Options: Prometheus.

use crate::option::{Group, Kind, flag, option, port};

pub(super) static GROUP: Group = Group {
    title: "Metrics",
    options: &[
        flag("prometheus", "Serve metrics for Prometheus over HTTP."),
        port(
            "prometheus-port",
            0,
            "Port of the metrics; 0 lets the system choose.",
        )
        .default("9641")
        .example("9641"),
        option(
            "prometheus-address",
            Kind::Address,
            "Address of the metrics.",
        )
        .unset("all addresses of this machine")
        .example("127.0.0.1"),
        option("prometheus-path", Kind::UrlPath, "Path of the metrics.")
            .default("/metrics")
            .example("/metrics"),
        flag(
            "prometheus-username-labels",
            "Count traffic of realms by user as well, when a session ends: a series for each of the first 10,000 users.",
        ),
        flag(
            "prometheus-tls",
            "Serve the metrics, and over TLS: with prometheus-cert and prometheus-key, else with cert and pkey.",
        ),
        option(
            "prometheus-cert",
            Kind::Path,
            "PEM file with the certificate for the metrics and its chain.",
        )
        .reloads()
        .unset("cert")
        .example("/etc/turnserver/metrics.pem"),
        option(
            "prometheus-key",
            Kind::Path,
            "PEM file with the private key for the metrics; its password, if it has one, is pkey-pwd.",
        )
        .reloads()
        .unset("pkey")
        .example("/etc/turnserver/metrics.key"),
        option(
            "prometheus-ip",
            Kind::Text,
            "Address of the metrics, as a fork spells it.",
        )
        .example("127.0.0.1")
        .removed("use prometheus-address"),
        flag(
            "prometheus-no-username-labels",
            "Do not count traffic by user name.",
        )
        .removed("traffic is not counted by user name unless asked for"),
        flag("no-prometheus", "Do not serve metrics.")
            .removed("metrics are off unless prometheus is given"),
    ],
};

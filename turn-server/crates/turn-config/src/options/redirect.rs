//! Options: sending clients to other servers.

use crate::option::{Group, Kind, option};

pub(super) static GROUP: Group = Group {
    title: "Redirection",
    options: &[
        option(
            "alternate-server",
            Kind::Server,
            "Server to which clients are sent, by address or by name; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:3478")
            .reloads(),
        option(
            "tls-alternate-server",
            Kind::Server,
            "Server to which clients over TLS and DTLS are sent; by name if its certificate has another than ours; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:5349")
            .reloads(),
        option(
            "tcp-alternate-server",
            Kind::Server,
            "Server to which clients over TCP are sent; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:3478")
            .reloads(),
        option(
            "udp-alternate-server",
            Kind::Server,
            "Server to which clients over UDP are sent; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:3478")
            .reloads(),
    ],
};

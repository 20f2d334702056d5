//! Options: sending clients to other servers.

use crate::option::{Group, Kind, option};

const NO_REDIRECT: &str = "clients are not redirected yet";

pub(super) static GROUP: Group = Group {
    title: "Redirection",
    options: &[
        option(
            "alternate-server",
            Kind::Text,
            "Server to which clients are sent; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:3478")
        .not_yet(NO_REDIRECT),
        option(
            "tls-alternate-server",
            Kind::Text,
            "Server to which clients over TLS and DTLS are sent; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:5349")
        .not_yet(NO_REDIRECT),
        option(
            "tcp-alternate-server",
            Kind::Text,
            "Server to which clients over TCP are sent; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:3478")
        .not_yet(NO_REDIRECT),
        option(
            "udp-alternate-server",
            Kind::Text,
            "Server to which clients over UDP are sent; repeatable.",
        )
        .list()
        .unset("none")
        .example("198.51.100.7:3478")
        .not_yet(NO_REDIRECT),
    ],
};

//! Options: the HTTP endpoint that issues ICE credentials. coturn has none.

use crate::option::{Group, Kind, flag, option};

pub(super) static GROUP: Group = Group {
    title: "HTTP endpoint for ICE credentials",
    options: &[
        option(
            "http-listen",
            Kind::Endpoint,
            "ADDRESS:PORT that serves /v1/ice; repeatable.",
        )
        .list()
        .unset("HTTP is off")
        .example("127.0.0.1:8081")
        .ours(),
        flag(
            "https",
            "Serve the same inside TLS on the ports for TLS, of which 443 can be one: the first bytes tell HTTP from TURN.",
        )
        .ours(),
        option(
            "http-api-key",
            Kind::Secret,
            "Key that may fetch credentials (Authorization: Bearer KEY); repeatable.",
        )
        .list()
        .unset("none")
        .example("replace-this-by-the-output-of-openssl-rand-hex-32")
        .ours()
        .reloads(),
        option(
            "http-api-key-file",
            Kind::Path,
            "File with such keys, one per line; repeatable.",
        )
        .list()
        .unset("none")
        .example("/etc/turnpike/api-keys")
        .ours()
        .reloads(),
        option(
            "http-advertise",
            Kind::Host,
            "Host in the ICE URLs that clients get.",
        )
        .unset("external-ip, else the host of the request")
        .example("turn.example.org")
        .ours()
        .reloads(),
        option(
            "http-allowed-origin",
            Kind::WebOrigin,
            "Web origin whose pages may fetch credentials; repeatable.",
        )
        .list()
        .unset("none")
        .example("https://app.example.org")
        .ours()
        .reloads(),
    ],
};

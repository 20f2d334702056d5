//! Options that coturn does not have and that belong to no other group.

use crate::option::{Group, Kind, flag, number, option};

pub(super) static GROUP: Group = Group {
    title: "Only in Turnpike",
    options: &[
        flag("quickstart", "Start as without arguments, with the flags beside it: no file is read, a secret is made.")
            .ours()
            .command_line_only(),
        flag("check-config", "Explain the effective settings, and end.").ours().command_line_only(),
        option(
            "latency-budget",
            Kind::Duration,
            "Longest time that a packet may wait for others (us, ms or s; up to 20ms), which saves processor time where many come; \
             after a pause none waits.",
        )
            .unset("a packet never waits")
            .example("500us")
            .ours(),
        number(
            "unauth-reply-rate",
            0,
            u32::MAX as u64,
            "answers per second",
            "Answers per second and source network (/24, IPv6 /56) to UDP requests without valid credentials, Binding among \
             them; bursts of ten times as many pass; 0 is unlimited.",
        )
        .default("200")
        .example("200")
        .ours()
            .reloads(),
        option(
            "limit",
            Kind::Text,
            "HOLDER.GOOD=NUMBER: how much a session, user, network (/24, IPv6 /56 of clients) or total may have of allocations, \
             permissions, channels, bytes-per-second, packets-per-second or connections; repeatable; 0 is unlimited.",
        )
        .list()
        .unset("none")
        .example("network.allocations=400")
        .ours()
            .reloads(),
        number("handshake-timeout", 1, 3600, "seconds", "Seconds that a TLS handshake may take, and a PROXY header.")
            .default("10")
            .example("10")
            .ours()
            .reloads(),
        option(
            "credential-expiry",
            Kind::Choice(&["ignore", "refuse-refresh", "end-session"]),
            "What becomes of an allocation when the time-limited credential that made it expires.",
        )
        .default("ignore")
        .example("refuse-refresh")
        .ours()
            .reloads(),
    ],
};

//! Options: what messages carry, and how packets are read.

use crate::option::{Group, flag};

const STRICT: &str = "what is not STUN or TURN is dropped in any case";
const BATCHES: &str = "packets are read and written in batches wherever the system can";
const COUNTED: &str = "batches are counted, not logged";

pub(super) static GROUP: Group = Group {
    title: "Messages",
    options: &[
        flag(
            "fingerprint",
            "Put FINGERPRINT into every answer; otherwise where the request has it.",
        )
        .short('f')
        .reloads(),
        flag("software-attribute", "Put SOFTWARE into answers.").reloads(),
        flag("no-software-attribute", "Do not put SOFTWARE into answers.")
            .no_effect("SOFTWARE is not sent unless software-attribute asks for it"),
        flag(
            "stun-backward-compatibility",
            "Add MAPPED-ADDRESS to Binding answers.",
        )
        .reloads(),
        flag(
            "rfc3489-compatibility",
            "Answer Binding requests of classic STUN (RFC 3489), which have no magic cookie.",
        )
        .reloads(),
        flag(
            "include-reason-string",
            "Say in words what the number of an error means.",
        )
        .reloads(),
        flag(
            "drop-invalid-packets",
            "Drop packets that are not STUN or TURN early.",
        )
        .default("yes")
        .no_effect(STRICT),
        flag("drop-invalid-packets-log", "Log such packets.")
            .no_effect("dropped packets are counted, not logged"),
        flag("udp-recvmmsg", "Read packets in batches.")
            .default("yes")
            .no_effect(BATCHES),
        flag("udp-recvmmsg-log", "Log numbers about reading in batches.").no_effect(COUNTED),
        flag("udp-sendmmsg-log", "Log numbers about writing in batches.").no_effect(COUNTED),
        flag("udp-gso", "Let the kernel cut large writes into packets.").no_effect(BATCHES),
        flag(
            "response-origin-only-with-rfc5780",
            "Send RESPONSE-ORIGIN only in NAT discovery.",
        )
        .no_effect("RESPONSE-ORIGIN is sent in NAT discovery only"),
        flag(
            "no-stun-backward-compatibility",
            "Do not add MAPPED-ADDRESS.",
        )
        .removed("MAPPED-ADDRESS is not added unless asked for"),
        flag("prod", "Do not tell the version of the software.")
            .removed("SOFTWARE is not sent unless software-attribute asks for it"),
        flag("no-http", "Do not answer HTTP.").removed("HTTP is off unless http-listen is given"),
    ],
};

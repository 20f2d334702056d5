//! The options of the `signaling` program.
//!
//! In: their declarations, from which the readers and `--help` are made. Not in: how they depend on each other (`settings.rs`).

use turn_config::Registry;
use turn_config::option::{Group, Kind, Notes, flag, number, option};

/// Lists every option of `signaling`.
pub static SIGNALING: Registry = Registry {
    program: "signaling",
    about: "Brings WebRTC clients together: rooms, calls and presence over WebSockets.",
    synopsis: "signaling [-c FILE] [FLAGS]",
    groups: &[&SERVICE, &PROTOCOLS, &ICE, &FLEET, &CALL_LOG, &PROCESS],
    lenient: false,
    notes: Notes {
        reference: "\
On the command line, an option is written as `--name=value`, a flag also as `--no-name`; in the file that `-c` names, as `name=value`, one \
to a line. The command line replaces what is in the file and extends its lists.

SIGHUP reads the secrets of tokens again; everything else counts from the next start on.",
        manual: ".PP\nOptions are given on the command line\n.RB ( \\-\\-name=value ;\nunique beginnings of names are enough, and a flag \
is turned off by\n.BR \\-\\-no\\-name )\nand in the file that\n.B \\-c\nnames\n.RB ( name=value ,\none to a line).\nThe command line \
replaces what is in the file and extends its lists.\n",
        manual_end: ".SH SIGNALS\n.TP\n.B SIGHUP\nreads the secrets of tokens again.\n.TP\n.B SIGUSR1\nlets nobody in any more, sends \
elsewhere who is in no room and no call, and ends when all are gone.\n.TP\n.BR SIGTERM \", \" SIGINT\nend the program.\n\
.SH EXIT STATUS\n.TP\n.B 0\nIt was asked to end.\n.TP\n.B 1\nIt cannot start; standard error says why and what to \
do.\n.TP\n.B 2\nThe command line is not understood.\n.TP\n.B 3\nIt failed while running.\n.SH SEE ALSO\n.BR turnserver (8)\n",
        changes: false,
    },
};

const SAMPLE_HEAD: &str = "\
Configuration of signaling: every option, each commented out. Start: signaling -c FILE

Made from the registry of options; do not edit it, copy it. To make it anew:
cargo run -p signaling --example generate";

/// The files of `config/` that are made from the options: name, and content.
pub fn generated_files() -> [(&'static str, String); 6] {
    [
        ("signaling.conf.sample", SIGNALING.sample_file(SAMPLE_HEAD)),
        ("signaling-options.md", SIGNALING.option_reference()),
        ("signaling.8", SIGNALING.manual()),
        ("completions/signaling.bash", SIGNALING.bash_completion()),
        ("completions/_signaling", SIGNALING.zsh_completion()),
        ("completions/signaling.fish", SIGNALING.fish_completion()),
    ]
}

static SERVICE: Group = Group {
    title: "Service",
    options: &[
        option(
            "listen",
            Kind::Endpoint,
            "ADDRESS:PORT for pages and WebSockets; repeatable.",
        )
        .list()
        .unset("0.0.0.0:8080")
        .example("127.0.0.1:8080"),
        option(
            "auth",
            Kind::Choice(&["anonymous", "jwt", "callout"]),
            "Who clients are: anonymous (the token is the user's name), jwt (the token is signed), or callout (a service is asked).",
        )
        .default("anonymous")
        .example("anonymous"),
        option(
            "jwt-secret-file",
            Kind::Path,
            "File with the secrets that tokens may be signed with (HS256, with 48 and 64 bytes HS384 and HS512), one per line, each the text as it stands; read again on SIGHUP.",
        )
        .unset("none")
        .example("/etc/signaling/jwt-secret"),
        option(
            "jwks-url",
            Kind::Text,
            "Where the public keys of tokens (RS256 to RS512, PS256 to PS512, ES256, ES384, EdDSA) are published.",
        )
        .unset("none")
        .example("https://auth.example.org/jwks.json"),
        option(
            "jwt-issuer",
            Kind::Text,
            "What tokens must say in iss.",
        )
        .unset("anything")
        .example("https://auth.example.org"),
        option(
            "jwt-audience",
            Kind::Text,
            "What tokens must have in aud.",
        )
        .unset("tokens with an aud are refused")
        .example("signaling"),
        option(
            "auth-url",
            Kind::Text,
            "The service that is asked whose a token is: POST {\"token\": …}, answered by {\"user\": …}.",
        )
        .unset("none")
        .example("https://app.example.org/whois"),
        option(
            "auth-key-file",
            Kind::Path,
            "File with the key that is shown to that service as a bearer token.",
        )
        .unset("none is shown")
        .example("/etc/signaling/auth-key"),
        option(
            "join-key-file",
            Kind::Path,
            "File with the key that clients on other machines must show.",
        )
        .unset("everybody may connect")
        .example("/etc/signaling/join-key"),
        option(
            "allowed-origin",
            Kind::WebOrigin,
            "Web origin, besides our own pages, that may connect, or * for all; repeatable.",
        )
        .list()
        .unset("none")
        .example("https://app.example.org"),
        number(
            "room-size",
            2,
            100,
            "members",
            "Members of a room, and of a call.",
        )
        .default("6")
        .example("6"),
    ],
};

static PROTOCOLS: Group = Group {
    title: "Protocols",
    options: &[
        option(
            "without",
            Kind::Choice(&["native", "stream", "peerjs", "socket.io"]),
            "A protocol that is not spoken; repeatable. The pages need native and stream.",
        )
        .list()
        .unset("all are spoken")
        .example("peerjs"),
        option(
            "peerjs-path",
            Kind::UrlPath,
            "What is in front of the paths for PeerJS: the client's option path.",
        )
        .default("/")
        .example("/myapp"),
        option(
            "peerjs-key",
            Kind::Text,
            "The client's option key; it tells applications apart and is no secret.",
        )
        .default("peerjs")
        .example("peerjs"),
        flag(
            "peerjs-discovery",
            "Let PeerJS clients list the ids of all who are there.",
        ),
    ],
};

static ICE: Group = Group {
    title: "ICE servers that clients are given",
    options: &[
        option(
            "ice-url",
            Kind::Text,
            "URL of a STUN or TURN server; repeatable.",
        )
        .list()
        .unset("none: clients connect without STUN and TURN")
        .example("turn:turn.example.org:3478?transport=udp"),
        option(
            "ice-secret-file",
            Kind::Path,
            "File with the secrets shared with the TURN server, one per line, newest first.",
        )
        .example("/etc/signaling/turn-secret"),
        option(
            "ice-endpoint",
            Kind::Text,
            "URL of a turnserver's HTTP endpoint, which is asked instead.",
        )
        .example("http://127.0.0.1:8081/v1/ice"),
        option(
            "ice-endpoint-key-file",
            Kind::Path,
            "File with the API key for that endpoint.",
        )
        .example("/etc/signaling/api-key"),
    ],
};

static CALL_LOG: Group = Group {
    title: "Call log",
    options: &[
        option(
            "call-log",
            Kind::Path,
            "File (SQLite) in which calls that are over are kept; made if there is none.",
        )
        .unset("no calls are kept")
        .example("/var/lib/signaling/calls.sqlite"),
        option(
            "call-log-postgres-file",
            Kind::Path,
            "File with the connection string of a PostgreSQL database, in which they are kept instead; sslmode=verify-full in it wants TLS, and require means the same.",
        )
        .unset("none")
        .example("/etc/signaling/postgres"),
        number(
            "call-log-days",
            1,
            36_500,
            "days",
            "How long calls are kept.",
        )
        .default("30")
        .example("30"),
        option(
            "call-log-key-file",
            Kind::Path,
            "File with the keys that may read and erase the history at /v1/calls, one per line.",
        )
        .unset("users only, their own")
        .example("/etc/signaling/history-key"),
        option(
            "webhook-url",
            Kind::Text,
            "The service that is told of each call that is over.",
        )
        .unset("none")
        .example("https://app.example.org/calls"),
        option(
            "webhook-secret-file",
            Kind::Path,
            "File with the secrets that this is signed with (Standard Webhooks), one per line.",
        )
        .example("/etc/signaling/webhook-secret"),
    ],
};

static FLEET: Group = Group {
    title: "Many processes as one service",
    options: &[
        option(
            "redis-url",
            Kind::Text,
            "redis://[USER@]HOST[:PORT][/DB] where the processes of one service meet, or rediss:// with TLS; Valkey as well.",
        )
        .unset("this process is the whole service")
        .example("redis://127.0.0.1:6379/0"),
        option(
            "redis-password-file",
            Kind::Path,
            "File with the password for it.",
        )
        .example("/etc/signaling/redis-password"),
        option(
            "node-name",
            Kind::Text,
            "What this process is called among them; no two may be called the same.",
        )
        .unset("the host's name and the port")
        .example("signaling-1"),
    ],
};

static PROCESS: Group = Group {
    title: "Process",
    options: &[
        option(
            "config-file",
            Kind::Path,
            "File with options as lines: KEY=VALUE, without dashes.",
        )
        .short('c')
        .unset("none")
        .example("/etc/signaling.conf")
        .command_line_only(),
        option(
            "ca-file",
            Kind::Path,
            "File (PEM) with authorities that are believed besides the system's, by everything that is reached with TLS: https://, rediss:// and PostgreSQL.",
        )
        .unset("the system's, or those in the file that SSL_CERT_FILE names")
        .example("/etc/signaling/ca.pem"),
        option(
            "metrics-listen",
            Kind::Endpoint,
            "ADDRESS:PORT for /metrics, /status with numbers, /healthz and /readyz.",
        )
        .unset("there are no metrics")
        .example("127.0.0.1:9642"),
        number(
            "drain-timeout",
            0,
            86_400,
            "seconds",
            "How long rooms and calls may go on after SIGUSR1, which lets nobody in and ends the program when all are gone.",
        )
        .default("3600")
        .example("600"),
        flag("verbose", "Log connections, and why tokens and origins are refused.").short('v'),
        flag("help", "Print this text and end.")
            .short('h')
            .command_line_only(),
        flag("version", "Print the version number and end.").command_line_only(),
    ],
};

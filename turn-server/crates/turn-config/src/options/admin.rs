//! Options: coturn's telnet and web consoles.

use crate::option::{Group, Kind, flag, number, option, port};

const NO_TELNET: &str = "there is no telnet console, which would send its password in the clear";
const NO_WEB: &str = "there is no web console";

pub(super) static GROUP: Group = Group {
    title: "Consoles",
    options: &[
        flag("cli", "Serve the telnet console.").no_effect(NO_TELNET),
        flag("no-cli", "Do not serve the telnet console.").no_effect(NO_TELNET),
        option("cli-ip", Kind::Text, "Address of the telnet console.")
            .default("127.0.0.1")
            .example("127.0.0.1")
            .no_effect(NO_TELNET),
        port("cli-port", 0, "Port of the telnet console.")
            .default("5766")
            .example("5766")
            .no_effect(NO_TELNET),
        option(
            "cli-password",
            Kind::Secret,
            "Password of the telnet console.",
        )
        .example("replace-this")
        .no_effect(NO_TELNET),
        number(
            "cli-max-output-sessions",
            0,
            u32::MAX as u64,
            "sessions",
            "Sessions that the console lists at once.",
        )
        .default("256")
        .example("256")
        .no_effect(NO_TELNET),
        flag("web-admin", "Serve the web console.").no_effect(NO_WEB),
        option("web-admin-ip", Kind::Text, "Address of the web console.")
            .default("127.0.0.1")
            .example("127.0.0.1")
            .no_effect(NO_WEB),
        port("web-admin-port", 0, "Port of the web console.")
            .default("8080")
            .example("8080")
            .no_effect(NO_WEB),
        flag(
            "web-admin-listen-on-workers",
            "Serve the web console on the TURN ports too.",
        )
        .no_effect(NO_WEB),
    ],
};

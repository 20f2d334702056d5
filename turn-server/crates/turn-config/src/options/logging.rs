//! Options: log lines.

use crate::option::{Group, Kind, flag, option};

const NO_SYSLOG: &str =
    "lines do not go to syslog yet; under systemd, standard output reaches the journal";

pub(super) static GROUP: Group = Group {
    title: "Logging",
    options: &[
        option(
            "log-file",
            Kind::Path,
            "File for log lines; stdout or - is standard output.",
        )
        .short('l')
        .default("stdout")
        .example("/var/log/turnserver/turnserver.log")
        .reloads(),
        flag(
            "no-stdout-log",
            "Do not copy the lines of log-file to standard output.",
        )
        .reloads(),
        flag(
            "simple-log",
            "Write to exactly the name of log-file: no process id, no date, no new file each day.",
        )
        .reloads(),
        flag(
            "new-log-timestamp",
            "Begin lines with the time of day; otherwise with the seconds since the start.",
        )
        .default("yes")
        .reloads(),
        flag("verbose", "Log sessions.").short('v').reloads(),
        flag("Verbose", "Log everything.").short('V').reloads(),
        flag("syslog", "Log to syslog instead of a file.").not_yet(NO_SYSLOG),
        option(
            "syslog-facility",
            Kind::Text,
            "Facility of the lines in syslog.",
        )
        .example("LOG_LOCAL1")
        .not_yet(NO_SYSLOG),
        option(
            "log-min-level",
            Kind::Choice(&["debug", "info", "warning", "error"]),
            "Lowest level that is written.",
        )
        .default("debug")
        .example("info")
        .not_yet("verbose and Verbose choose what is written"),
        option(
            "new-log-timestamp-format",
            Kind::Text,
            "Format of the time of day, as in strftime.",
        )
        .default("%FT%T.%f%z")
        .example("%FT%T%z")
        .not_yet("the time of day has one format, ISO 8601"),
        flag("log-binding", "Log Binding requests.")
            .not_yet("Binding requests are counted, not logged"),
    ],
};

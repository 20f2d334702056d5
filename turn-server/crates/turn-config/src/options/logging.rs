//! Options: log lines.

use crate::option::{Group, Kind, flag, option};

pub(super) static GROUP: Group = Group {
    title: "Logging",
    options: &[
        option(
            "log-file",
            Kind::Path,
            "File for log lines; stdout or - is standard output, syslog is the option of that name.",
        )
        .short('l')
        .default("stdout")
        .example("/var/log/turnserver/turnserver.log")
        .reloads(),
        flag(
            "no-stdout-log",
            "Do not copy the lines of log-file or syslog to standard output.",
        )
        .reloads(),
        flag(
            "simple-log",
            "Write to exactly the name of log-file; with simple-log=no to a file of each day, with its date in the name, as coturn \
             does unless told otherwise.",
        )
        .default("yes")
        .reloads(),
        flag(
            "new-log-timestamp",
            "Begin lines with the time of day; otherwise with the seconds since the start, which is the default with \
             log-format 4.6 and 4.5.",
        )
        .default("yes")
        .reloads(),
        option(
            "new-log-timestamp-format",
            Kind::Text,
            "Format of the time of day, as in strftime, with %f for milliseconds; the default with log-format 4.6 and 4.5 is %FT%T%z.",
        )
        .default("%FT%T.%f%z")
        .example("%F %T")
        .reloads(),
        option(
            "log-format",
            Kind::Choice(&["4.17", "4.6", "4.5", "json"]),
            "Shape of log lines: that of coturn 4.17, of 4.6.2 to 4.16 (4.6), of 4.5 to Debian's 4.6.1 (4.5), or one JSON \
             object each.",
        )
        .default("4.17")
        .example("4.6")
        .ours()
        .reloads(),
        option(
            "log-privacy",
            Kind::Choice(&["full", "truncated", "hashed", "none"]),
            "Addresses and names of users in log lines: full; truncated to the network (/24, IPv6 /48) and the first letters; \
             hashed, the same for one start of the server; or none; TOML files and quickstart truncate.",
        )
        .default("full")
        .example("truncated")
        .ours()
        .reloads(),
        flag("verbose", "Log sessions.").short('v').reloads(),
        flag("Verbose", "Log everything.").short('V').reloads(),
        option(
            "log-min-level",
            Kind::Choice(&["debug", "info", "warning", "error"]),
            "Lowest level that is written, whatever verbose and Verbose say.",
        )
        .default("debug")
        .example("info")
        .reloads(),
        flag(
            "log-binding",
            "Log Binding requests too, with verbose: a line each, so that a flood of them floods the log.",
        )
        .reloads(),
        flag("syslog", "Log to syslog instead of a file.").reloads(),
        option(
            "syslog-facility",
            Kind::Text,
            "Facility of the lines in syslog: LOG_USER, LOG_DAEMON, LOG_LOCAL0 and so on.",
        )
        .unset("LOG_USER")
        .example("LOG_LOCAL1")
        .reloads(),
        option(
            "syslog-socket",
            Kind::Path,
            "Unix socket of syslog; where it is not there, lines go to standard output.",
        )
        .default("/dev/log")
        .example("/run/systemd/journal/dev-log")
        .ours()
        .reloads(),
    ],
};

//! Options: workers and files of the process, and what the command line asks for besides a start.

use crate::option::{Group, Kind, flag, number, option};

pub(super) static GROUP: Group = Group {
    title: "Process",
    options: &[
        option(
            "config-file",
            Kind::Path,
            "Configuration file; a relative name is searched as coturn searches it.",
        )
        .short('c')
        .default("turnserver.conf")
        .example("/etc/turnserver.conf")
        .ours()
        .command_line_only(),
        flag("no-config-file", "Read no configuration file.")
            .short('n')
            .ours()
            .command_line_only(),
        flag("help", "Print this text and end.")
            .short('h')
            .command_line_only(),
        flag("version", "Print the version number and end.").command_line_only(),
        option(
            "prepare-for",
            Kind::Text,
            "As root, before a start as this user: copy certificate and key for it (key-copies), give it its log file, and end.",
        )
        .unset("the server is started")
        .example("turnserver")
        .ours()
        .command_line_only(),
        number(
            "relay-threads",
            0,
            128,
            "threads",
            "Worker threads; 0 is one.",
        )
        .short('m')
        .clamp()
        .unset("one per CPU")
        .example("4"),
        number(
            "cpus",
            1,
            128,
            "CPUs",
            "Number of CPUs to count on where this machine reports too many (containers).",
        )
        .clamp()
        .unset("as many as there are")
        .example("2"),
        option("pidfile", Kind::Path, "File for the process id.")
            .may_be_empty()
            .unset("none is written")
            .example("/run/turnserver/turnserver.pid"),
        option(
            "control-socket",
            Kind::Path,
            "Unix socket for turnctl, open to the server's user and group; empty is none.",
        )
        .may_be_empty()
        .unset("/run/turnserver/control.sock, where that folder exists")
        .example("/run/turnserver/control.sock")
        .ours(),
        flag(
            "daemon",
            "Go to the background; the command ends when the server is ready, and log lines go to syslog unless log-file names a \
             file.",
        )
        .short('o'),
        option(
            "proc-user",
            Kind::Text,
            "User to become when sockets and files are open; what a reload reads, this user must be able to read.",
        )
        .unset("it stays who it is")
        .example("turnserver"),
        option(
            "proc-group",
            Kind::Text,
            "Group to become when sockets and files are open.",
        )
        .unset("the groups of proc-user, if that is given")
        .example("turnserver"),
        number(
            "drain-min-allocations",
            0,
            u32::MAX as u64,
            "allocations",
            "Allocations at which a drain (SIGUSR1) is over: the server ends.",
        )
        .optional()
        .default("0")
        .example("3")
        .reloads(),
        number(
            "drain-timeout",
            0,
            u32::MAX as u64,
            "seconds",
            "Seconds after which a drain (SIGUSR1) is over, whatever allocations are left; 0 is never.",
        )
        .ours()
        .default("0")
        .example("3600")
        .reloads(),
    ],
};

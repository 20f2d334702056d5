//! The options of `turnserver`, one file per subject.
//!
//! In: every option that coturn 4.5 to 4.18 has or had, spellings of forks seen in the field, and ours. Not in: the
//! options of other programs, which declare their own [`Registry`].

mod admin;
mod auth;
mod database;
mod http;
mod listening;
mod logging;
mod metrics;
mod ours;
mod process;
mod redirect;
mod relay;
mod tls;
mod wire;

use crate::option::{Notes, Registry};

/// Lists every option of `turnserver`.
pub static TURNSERVER: Registry = Registry {
    program: "turnserver",
    about: "Relays media between hosts that cannot reach each other (TURN, RFC 8656), as coturn does.",
    synopsis: "turnserver                    start at once, with credentials made for this run\n\
               turnserver [-c FILE] [FLAGS]  start with turnserver.conf and flags, as coturn does\n\
               turnserver -n [FLAGS]         start with flags only",
    groups: &[
        &listening::GROUP,
        &relay::GROUP,
        &auth::GROUP,
        &http::GROUP,
        &logging::GROUP,
        &process::GROUP,
        &wire::GROUP,
        &metrics::GROUP,
        &ours::GROUP,
        &tls::GROUP,
        &database::GROUP,
        &redirect::GROUP,
        &admin::GROUP,
    ],
    lenient: true,
    notes: Notes {
        reference: REFERENCE,
        manual: MANUAL,
        manual_end: MANUAL_END,
        changes: true,
    },
};

const REFERENCE: &str = "\
In a file, an option is written as `name=value`, in TOML as `name = value`; on the command line as `--name=value`, a \
flag also as `--no-name`; in the environment as `TURNSERVER_NAME=value`, in capitals and with underscores. What comes \
later replaces what came before and extends its lists: file, environment, command line.

SIGHUP and SIGUSR2 read the file again. Change says when a changed value counts: from that *reload* on, or from the \
next *restart* on; the reload names such options and keeps their old values.";

const MANUAL: &str = ".PP\nOptions are given in a file\n.RB ( name=value ,\nas in coturn's turnserver.conf, or TOML in a file \
whose name ends in\n.BR .toml ),\nin the environment\n.RB ( TURNSERVER_NAME=value ,\nin capitals and with underscores; of a \
list, values are separated by commas, or by line ends where they may contain commas)\nand on the command line\n.RB ( \
\\-\\-name=value ;\nunique beginnings of names are enough, and a flag is turned off by\n.BR \\-\\-no\\-name ).\n.PP\nWhat comes \
later replaces what came before and extends its lists: the file, the environment, the command line.\n";

const MANUAL_END: &str = ".SH FILES\n.TP\n.I turnserver.conf\nis read where no other file is named: from the working folder, its subfolders etc, \
                   turnserver and coturn, /etc and /usr/local/etc, in this order.\n.SH EXIT STATUS\n.TP\n.B 0\nIt was asked to \
                   end.\n.TP\n.B 1\nIt cannot start; standard error says why and what to do.\n.TP\n.B 2\nThe command line is not \
                   understood.\n.TP\n.B 3\nIt failed while running.\n.SH SEE ALSO\nRFC 8489, RFC 8656\n";

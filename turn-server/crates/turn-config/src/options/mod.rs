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

use crate::option::Registry;

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
};

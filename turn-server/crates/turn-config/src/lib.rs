//! One registry of options, read from coturn files and command lines.
//!
//! Level 0: nothing of ours below it. In: declarations of options, coturn's reading rules, typed settings, generated
//! help and samples. Not in: name resolution, sockets, the running settings of other crates.
#![forbid(unsafe_code)]

mod diagnostics;
mod environment;
mod ip_range;
mod origin;
mod secret;
pub mod settings;

pub use diagnostics::{Error, Problem, Severity, Warning};
pub use environment::Environment;
pub use ip_range::IpRange;
pub use origin::Origin;
pub use secret::Secret;
pub use settings::Settings;

use std::ffi::OsString;

/// Says what the command line asks for.
pub enum Invocation {
    /// No arguments, or `--quickstart` and options beside it: a relay with credentials made for this run.
    Quickstart(Box<Settings>),
    /// Run with these settings.
    Run(Box<Settings>),
    /// Explain these settings and end.
    CheckConfig(Box<Settings>),
    /// Print this text and end.
    Help(String),
    /// Print the bare version number and end.
    Version,
}

/// Reads the arguments of `turnserver` (without the program's name) and the configuration file they name.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment<'_>,
) -> Result<Invocation, Error> {
    let _ = environment;
    match args.into_iter().next() {
        None => Err(Error::Usage("quickstart is not wired yet".into())),
        Some(_) => Ok(Invocation::Version),
    }
}

//! One registry of options, read from coturn files, TOML, the environment and command lines.
//!
//! Level 0: nothing of ours below it. In: declarations of options ([`Registry`]), coturn's reading rules, the typed
//! [`Settings`] of `turnserver`, generated help and samples. Not in: name resolution, sockets, and the running
//! configuration of other crates.
//!
//! Other programs bring a [`Registry`] of their own and use [`read_command_line`], [`read_file`] and [`Values`].
#![forbid(unsafe_code)]

mod client_range;
mod command_line;
mod credentials;
mod diagnostics;
mod environment;
mod file;
mod generate;
mod ip_range;
mod names;
pub mod option;
pub mod options;
mod origin;
mod raw;
mod reread;
mod search;
mod secret;
pub mod settings;
mod toml_file;
mod turnserver;
mod value;
mod values;
mod variables;

pub use client_range::{ClientRange, Listeners};
pub use command_line::read_command_line;
pub use diagnostics::{Error, Problem, Report, Severity, Warning};
pub use environment::Environment;
pub use file::read_file;
pub use generate::generated_files;
pub use ip_range::IpRange;
pub use option::Registry;
pub use options::TURNSERVER;
pub use origin::Origin;
pub use raw::Raw;
pub use reread::{Reread, reread};
pub use secret::Secret;
pub use settings::Settings;
pub use toml_file::read_toml;
pub use turnserver::{Invocation, parse};
pub use values::Values;

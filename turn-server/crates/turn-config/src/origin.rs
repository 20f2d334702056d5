//! Where a value came from, as an operator would point at it.
//!
//! In: the origin and its text. Not in: what to do about a bad value (`diagnostics.rs`).

use std::fmt;
use std::sync::Arc;

/// Says where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave the value; it is the registry's default.
    Default,
    /// A line of a configuration file.
    File {
        /// The file's name as it was opened.
        name: Arc<str>,
        /// Counted from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment {
        /// For example `TURNSERVER_MIN_PORT`.
        name: Arc<str>,
    },
    /// A flag, with its dashes, as the operator typed it and without its value.
    CommandLine {
        /// For example `--min-port` or `-p`.
        flag: Arc<str>,
    },
}

impl Origin {
    /// It, to stand in front of a message; nothing where nobody gave the value.
    pub fn place(&self) -> String {
        match self {
            Origin::Default => String::new(),
            given => format!("{given}: "),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Environment { name } => write!(f, "environment, {name}"),
            Origin::CommandLine { flag } => write!(f, "command line, {flag}"),
        }
    }
}

//! What is said to the operator: warnings, problems and usage errors.
//!
//! In: the types and the shape of the text. Not in: what is wrong with which value.

use std::fmt;

use crate::origin::Origin;

/// Tells the operator something that does not stop the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is about.
    pub origin: Origin,
    /// The option and what it is about; one line.
    pub text: String,
    /// How loud it should be.
    pub severity: Severity,
}

/// Says how loud a warning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For the record, for example an option that does nothing here and need not.
    Note,
    /// Something is not as the operator asked for, or hurts.
    Warning,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        located(f, &self.origin, &self.text)
    }
}

/// Describes one unusable value, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub origin: Origin,
    /// The option and what is wrong.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        located(f, &self.origin, &self.text)?;
        write!(f, ". {}", self.remedy)
    }
}

fn located(f: &mut fmt::Formatter<'_>, origin: &Origin, text: &str) -> fmt::Result {
    match origin {
        Origin::Default => f.write_str(text),
        origin => write!(f, "{origin}: {text}"),
    }
}

/// Says why a program cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operator's flags are not understood.
    #[error("{0}")]
    Usage(String),
    /// The configuration is understood, but unusable; every problem found is listed.
    #[error("{}", list(.0))]
    Config(Vec<Problem>),
}

impl Error {
    /// The exit code of the process: 1 for the configuration, 2 for usage.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config(_) => 1,
            Error::Usage(_) => 2,
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

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

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
        })
    }
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
    /// The configuration is understood, but unusable; every problem found is listed, behind the warnings: a misspelt key or a
    /// missing file is often the cause.
    #[error("{}", list(.warnings, .problems))]
    Config {
        /// Why it is unusable.
        problems: Vec<Problem>,
        /// What else was odd.
        warnings: Vec<Warning>,
    },
}

impl Error {
    /// The exit code of the process: 1 for the configuration, 2 for usage.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config { .. } => 1,
            Error::Usage(_) => 2,
        }
    }
}

fn list(warnings: &[Warning], problems: &[Problem]) -> String {
    // Of the warnings, those about what was written: a general one explains no error.
    let warnings = warnings
        .iter()
        .filter(|warning| warning.origin != Origin::Default)
        .map(|warning| format!("warning: {warning}"));
    let lines = warnings.chain(problems.iter().map(Problem::to_string));
    lines.collect::<Vec<_>>().join("\n")
}

/// Shows a piece of the operator's text in a message: quoted, on one line, and not longer than a line.
pub(crate) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Collects what is said about a configuration.
#[derive(Default)]
pub struct Report {
    warnings: Vec<Warning>,
    problems: Vec<Problem>,
}

impl Report {
    /// Tells the operator that something hurts.
    pub fn warn(&mut self, origin: Origin, text: impl Into<String>) {
        self.warnings.push(Warning {
            origin,
            text: text.into(),
            severity: Severity::Warning,
        });
    }

    /// Tells the operator something for the record.
    pub fn note(&mut self, origin: Origin, text: impl Into<String>) {
        self.warnings.push(Warning {
            origin,
            text: text.into(),
            severity: Severity::Note,
        });
    }

    /// Ends the start; `remedy` is a sentence that says what to do.
    pub fn problem(&mut self, origin: Origin, text: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem {
            origin,
            text: text.into(),
            remedy: remedy.into(),
        });
    }

    /// Appends what was said later.
    pub fn append(&mut self, mut later: Report) {
        self.warnings.append(&mut later.warnings);
        self.problems.append(&mut later.problems);
    }

    /// The warnings, or all problems when there are any.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem.
    pub fn finish(self) -> Result<Vec<Warning>, Error> {
        if self.problems.is_empty() {
            Ok(self.warnings)
        } else {
            Err(Error::Config {
                problems: self.problems,
                warnings: self.warnings,
            })
        }
    }
}

//! Secrets and accounts in files of their own, which a configuration that many may read can point to.
//!
//! In: the lines of such a file, each read as the value of the option that it stands for. Not in: which of them count
//! (`auth.rs`).

use std::path::Path;

use crate::diagnostics::Report;
use crate::environment::Environment;
use crate::options::TURNSERVER;
use crate::value::{self, FromValue};
use crate::values::{Given, Values};

/// Reads the files that `option` names: a value of `stands_for` on each line. Blank lines, and lines that begin with `#`, are
/// skipped.
pub(super) fn read<T: FromValue>(
    option: &str,
    stands_for: &str,
    values: &Values,
    environment: &Environment<'_>,
    report: &mut Report,
) -> Vec<Given<T>> {
    let mut given = Vec::new();
    let Some(spec) = TURNSERVER.find(stands_for) else {
        return given;
    };
    for file in values.list::<String>(option) {
        let name = &file.value;
        let remedy =
            format!("Name a readable text file with a value of {stands_for} on each line.");
        let bytes = (environment.read)(Path::new(name)).map_err(|error| error.to_string());
        let text =
            bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let what = format!("{option}: {name} cannot be read: {error}");
                report.problem(file.origin, what, remedy);
                continue;
            }
        };
        let lines = (1..).zip(text.lines().map(str::trim));
        let mut lines = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .peekable();
        if lines.peek().is_none() {
            report.problem(file.origin, format!("{option}: {name} is empty"), remedy);
            continue;
        }
        for (number, line) in lines {
            match value::read_exactly(spec, line, environment.resolve) {
                Ok(reading) => given.extend(T::from_value(&reading.value).map(|value| Given {
                    value,
                    origin: file.origin.clone(),
                })),
                Err(fault) => {
                    let what = format!("{option}: {name}:{number}: {}", fault.text);
                    report.problem(file.origin.clone(), what, fault.remedy);
                }
            }
        }
    }
    given
}

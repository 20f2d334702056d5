//! Reads options from the environment: `TURNSERVER_LISTENING_PORT=3478`.
//!
//! In: the names of variables, and how a variable holds several values. Not in: what values mean (`value/`).
//!
//! A variable stands between the file and the command line: it replaces what the file says and adds to its lists, and a
//! flag does the same with it.

use std::ffi::OsString;

use crate::option::{Kind, OptionSpec, Registry};
use crate::origin::Origin;
use crate::raw::Raw;

impl Registry {
    /// What the names of this program's variables begin with.
    pub(crate) fn variable_prefix(&self) -> String {
        format!("{}_", self.program.to_ascii_uppercase())
    }

    /// The name of an option's variable. Of two options that differ in capitals only, the second keeps its own.
    pub(crate) fn variable(&self, spec: &OptionSpec) -> String {
        let bare = spec.long.replace('-', "_");
        let capitals = bare.to_ascii_uppercase();
        let first = self
            .options()
            .find(|other| other.long.replace('-', "_").eq_ignore_ascii_case(&bare));
        let bare = if first.is_some_and(|first| first.long == spec.long) {
            capitals
        } else {
            bare
        };
        format!("{}{bare}", self.variable_prefix())
    }
}

/// Reads the variables of `registry`'s program; all others are passed over.
pub(crate) fn read_variables(
    registry: &'static Registry,
    variables: &[(OsString, OsString)],
) -> Raw {
    let prefix = registry.variable_prefix();
    let mut raw = Raw::default();
    let mut named: Vec<(String, &OsString)> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value)))
        .filter(|(name, _)| name.starts_with(&prefix))
        .collect();
    // The system keeps them in any order.
    named.sort();
    for (name, value) in named {
        let origin = Origin::Environment {
            name: name.as_str().into(),
        };
        let spec = registry
            .options()
            .find(|spec| may_be_a_variable(spec) && registry.variable(spec) == name);
        let Some(spec) = spec else {
            if !is_of_others(name.strip_prefix(&prefix).unwrap_or_default()) {
                let text = unknown(registry, &name, &prefix);
                raw.report.warn(origin, text);
            }
            continue;
        };
        match value.to_str() {
            Some(value) => take(spec, value, &origin, &mut raw),
            None => raw.report.problem(
                origin,
                format!("{}: the value is not UTF-8 text", spec.long),
                "Write it in UTF-8.",
            ),
        }
    }
    raw
}

/// What only a command line can ask for, a variable cannot, but where the file is.
fn may_be_a_variable(spec: &OptionSpec) -> bool {
    !spec.command_line_only || matches!(spec.long, "config-file" | "no-config-file")
}

/// Splits the value of a list: at commas, or at line ends where a value may have a comma in it.
fn take(spec: &'static OptionSpec, value: &str, origin: &Origin, raw: &mut Raw) {
    // Compose files hand over a variable that nobody has set as an empty one; a bare key of a file means more than that.
    if value.trim().is_empty() && spec.works() && !spec.may_be_empty {
        raw.report.problem(
            origin.clone(),
            format!("{}: the variable is empty", spec.long),
            "Give it a value (a flag: yes or no), or unset it.",
        );
        return;
    }
    if !spec.list {
        raw.push_exactly(spec, value.to_owned(), origin.clone());
        return;
    }
    let ends: &[char] = match spec.kind {
        Kind::Secret | Kind::Account | Kind::Text | Kind::Path => &['\n', '\r'],
        _ => &['\n', '\r', ','],
    };
    for part in value
        .split(ends)
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        raw.push_exactly(spec, part.to_owned(), origin.clone());
    }
}

/// Variables that others set: Debian's start script, and Kubernetes for a service that is called like the program.
fn is_of_others(bare: &str) -> bool {
    bare == "ENABLED" || bare == "PORT" || bare.starts_with("PORT_") || bare.starts_with("SERVICE_")
}

fn unknown(registry: &'static Registry, name: &str, prefix: &str) -> String {
    let bare = name.strip_prefix(prefix).unwrap_or(name);
    let bare = bare.to_ascii_lowercase().replace('_', "-");
    let nearest = registry.nearest(&bare).and_then(|long| registry.find(long));
    match nearest.filter(|spec| may_be_a_variable(spec)) {
        Some(spec) => format!(
            "no option has this name, so it is ignored; did you mean {}?",
            registry.variable(spec)
        ),
        None => "no option has this name, so it is ignored".into(),
    }
}

//! Reads a file in TOML: the names of the registry, each value in the type that TOML has for it.
//!
//! In: which TOML type each kind of option takes, arrays for lists, the line of each value. Not in: what values mean
//! (`value/`).
//!
//! Nothing is guessed here: a key that is not known, a table and a value of another type end the start.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostics::quote;
use crate::option::{Kind, OptionSpec, Registry};
use crate::origin::Origin;
use crate::raw::Raw;

/// Reads the bytes of a file; `name` is for messages. It never fails: what cannot be read is reported in the result.
pub fn read_toml(registry: &'static Registry, name: &str, bytes: &[u8]) -> Raw {
    let mut reader = Reader {
        registry,
        name: name.into(),
        text: "",
        raw: Raw::default(),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        let origin = reader.origin(None);
        reader.raw.report.problem(
            origin,
            "the file is not UTF-8 text",
            "Save it as UTF-8, as TOML asks for.",
        );
        return reader.raw;
    };
    reader.text = text;
    match DeTable::parse(text) {
        Ok(table) => reader.table(table.into_inner()),
        Err(error) => {
            let origin = reader.origin(error.span());
            reader.raw.report.problem(
                origin,
                format!("this is no TOML: {}", error.message()),
                "Write name = value: text in double quotes, numbers, true and false without, lists in brackets.",
            );
        }
    }
    reader.raw
}

struct Reader<'t> {
    registry: &'static Registry,
    name: Arc<str>,
    text: &'t str,
    raw: Raw,
}

impl Reader<'_> {
    fn table(&mut self, table: DeTable<'_>) {
        let mut pairs: Vec<_> = table.into_iter().collect();
        // As they were written, for messages.
        pairs.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in pairs {
            self.pair(&key, value);
        }
    }

    fn pair(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, value: Spanned<DeValue<'_>>) {
        let origin = self.origin(Some(key.span()));
        let name: &str = key.get_ref();
        let Some(spec) = self
            .registry
            .find(name)
            .filter(|spec| !spec.command_line_only)
        else {
            let (text, remedy) = self.unknown(name, value.get_ref());
            self.raw.report.problem(origin, text, remedy);
            return;
        };
        match value.into_inner() {
            DeValue::Array(items) if spec.list => {
                for item in items {
                    self.one(spec, item);
                }
            }
            DeValue::Array(_) => self.raw.report.problem(
                origin,
                format!("{name}: it takes one value and no list"),
                "Write the value without brackets.",
            ),
            single => self.one(spec, Spanned::new(key.span(), single)),
        }
    }

    /// Takes one value as the text that the registry's readers expect.
    fn one(&mut self, spec: &'static OptionSpec, value: Spanned<DeValue<'_>>) {
        let origin = self.origin(Some(value.span()));
        match text(spec.kind, value.get_ref()) {
            Some(text) => self.raw.push_exactly(spec, text, origin),
            None => self.raw.report.problem(
                origin,
                format!(
                    "{}: {} is not possible here",
                    spec.long,
                    describe(value.get_ref())
                ),
                remedy(spec),
            ),
        }
    }

    fn unknown(&self, name: &str, value: &DeValue<'_>) -> (String, String) {
        let shown = quote(name);
        if matches!(value, DeValue::Table(_)) {
            let text = format!("{shown}: options do not stand in tables");
            return (text, format!("Remove the line [{name}]."));
        }
        if self.registry.find(name).is_some() {
            let text = format!("{shown} belongs on the command line");
            return (text, "Remove the line.".into());
        }
        let remedy = match self.registry.nearest(name) {
            Some(nearest) => format!("Did you mean {nearest}? If not, remove the line."),
            None => "Remove the line; options.md lists every name.".into(),
        };
        (format!("unknown key {shown}"), remedy)
    }

    fn origin(&self, span: Option<Range<usize>>) -> Origin {
        let before = span.and_then(|span| self.text.get(..span.start));
        let breaks = before.map_or(0, |before| before.matches('\n').count());
        Origin::File {
            name: Arc::clone(&self.name),
            line: breaks + 1,
        }
    }
}

/// The value as an operator of a coturn file would write it; `None` when it is of another type.
fn text(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Flag, DeValue::Boolean(on)) => Some(if *on { "yes" } else { "no" }.into()),
        (Kind::Number(_) | Kind::Port { .. }, DeValue::Integer(digits)) => {
            let number = i128::from_str_radix(digits.as_str(), digits.radix());
            // Whatever is outside of these is outside of every range, at the same end.
            let beyond = if digits.as_str().starts_with('-') {
                i128::MIN
            } else {
                i128::MAX
            };
            Some(number.unwrap_or(beyond).to_string())
        }
        (Kind::Flag | Kind::Number(_) | Kind::Port { .. }, _) => None,
        (_, DeValue::String(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text in quotes",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list inside a list",
        DeValue::Table(_) => "a table",
    }
}

fn remedy(spec: &OptionSpec) -> String {
    let long = spec.long;
    match spec.kind {
        Kind::Flag => format!("Write {long} = true or {long} = false."),
        Kind::Number(_) | Kind::Port { .. } => format!(
            "Write digits without quotes, for example {long} = {}.",
            spec.example
        ),
        Kind::Secret | Kind::Account => format!("Write text in double quotes: {long} = \"…\"."),
        _ => format!(
            "Write text in double quotes, for example {long} = \"{}\".",
            spec.example
        ),
    }
}

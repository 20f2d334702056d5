//! Reads a file by the rules of coturn's `turnserver.conf`, mended where they bite.
//!
//! In: lines, keys, separators, quotes. Not in: where the file is found (`search.rs`) and what values mean (`value/`).
//!
//! Mended: a long line is read whole, a byte order mark is skipped, and every oddity is pointed out once.

use std::sync::Arc;

use crate::diagnostics::{Report, quote};
use crate::option::Registry;
use crate::origin::Origin;
use crate::raw::Raw;

/// The longest line that coturn reads in one piece, in bytes.
const COTURN_LINE: usize = 1023;

/// Reads the bytes of a file; `name` is for messages. It never fails: what cannot be read is reported in the result.
pub fn read_file(registry: &'static Registry, name: &str, bytes: &[u8]) -> Raw {
    let name: Arc<str> = name.into();
    let mut raw = Raw::default();
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let place = Origin::File { name, line: 1 };
        let text = "the file is UTF-16, as some editors of Windows write it";
        raw.report.problem(place, text, "Save it as UTF-8.");
        return raw;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let origin = Origin::File {
            name: Arc::clone(&name),
            line: index + 1,
        };
        read_line(registry, line, &origin, &mut raw);
    }
    raw
}

fn read_line(registry: &'static Registry, line: &[u8], origin: &Origin, raw: &mut Raw) {
    let trimmed = line.trim_ascii();
    if trimmed.is_empty() || trimmed.starts_with(b"#") {
        return;
    }
    let (key, value) = split(trimmed);
    let key = String::from_utf8_lossy(key);
    let Some(spec) = registry.find(&key).filter(|spec| !spec.command_line_only) else {
        report_unknown(registry, &key, origin, &mut raw.report);
        return;
    };
    let Ok(value) = std::str::from_utf8(value) else {
        raw.report.problem(
            origin.clone(),
            format!("{key}: the value is not UTF-8 text"),
            "Save the file as UTF-8, or write the value in ASCII.",
        );
        return;
    };
    if line.len() > COTURN_LINE {
        raw.report.warn(
            origin.clone(),
            format!("{key}: the line is read whole; coturn would cut it after {COTURN_LINE} bytes"),
        );
    }
    raw.push(spec, unquoted(value), origin.clone());
}

/// Splits at the first blank or `=`; a run of them is one separator, so a value cannot begin with `=`.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let separates = |byte: &u8| matches!(byte, b' ' | b'\t' | b'=');
    let Some(end) = line.iter().position(separates) else {
        return (line, b"");
    };
    let (key, rest) = line.split_at(end);
    let begin = rest
        .iter()
        .position(|byte| !separates(byte))
        .unwrap_or(rest.len());
    (key, rest.get(begin..).unwrap_or_default())
}

/// Takes one straight double quote off the front, and then one off the end.
fn unquoted(value: &str) -> &str {
    match value.strip_prefix('"') {
        Some(inner) => {
            let inner = inner.trim_end();
            inner.strip_suffix('"').unwrap_or(inner)
        }
        None => value,
    }
}

/// Says that a line is not understood: as coturn does, which goes on without it, or as a program does whose file may not be misread.
fn report_unknown(registry: &'static Registry, key: &str, origin: &Origin, report: &mut Report) {
    let shown = quote(key);
    let what = match registry.find(key) {
        Some(_) => format!("{shown} belongs on the command line"),
        None => format!("unknown key {shown}"),
    };
    let meant = meant(registry, key);
    if registry.lenient {
        let hint = meant.map_or(String::new(), |(_, hint)| format!("; {hint}"));
        report.warn(origin.clone(), format!("{what}, the line is ignored{hint}"));
    } else {
        let remedy = match meant {
            Some((name, _)) => format!("Write {name}, or remove the line."),
            None => "Remove the line; --help lists every name.".to_owned(),
        };
        report.problem(origin.clone(), what, remedy);
    }
}

/// The option that may be meant by an unknown key, and why it is.
fn meant(registry: &'static Registry, key: &str) -> Option<(&'static str, String)> {
    if registry.find(key).is_some() {
        return None;
    }
    if let Some(spec) = key.strip_prefix("--").and_then(|bare| registry.find(bare)) {
        let bare = key.trim_start_matches('-');
        let hint = format!("in a file it is written without dashes: {bare}");
        return Some((spec.long, hint));
    }
    let short = match key.as_bytes() {
        [short] | [b'-', short] => registry.find_short(char::from(*short)),
        _ => None,
    };
    if let Some(option) = short {
        return Some((option.long, format!("in a file write {}", option.long)));
    }
    let name = registry.nearest(key)?;
    Some((name, format!("did you mean {name}?")))
}

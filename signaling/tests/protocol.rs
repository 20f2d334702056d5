//! The protocol's page names every message and every error that the code knows.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The words in front of `=>` or behind it that look like `"a-word"`.
fn quoted_words(code: &str, behind_arrow: bool) -> Vec<String> {
    quoted(code, behind_arrow)
        .filter(|word| is_word(word))
        .collect()
}

/// What stands in quotes in front of `=>` or behind it.
fn quoted(code: &str, behind_arrow: bool) -> impl Iterator<Item = String> {
    let arms = code.lines().filter_map(|line| line.split_once("=>"));
    let sides = arms.map(move |(pattern, value)| if behind_arrow { value } else { pattern });
    sides
        .flat_map(|side| side.split('"').skip(1).step_by(2))
        .map(str::to_owned)
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// The variants of `enum Outgoing`, as they are written on the wire.
fn outgoing(code: &str) -> Vec<String> {
    let body = code
        .split_once("\nenum Outgoing<'a> {")
        .unwrap()
        .1
        .split_once("\n}")
        .unwrap()
        .0;
    let variants = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    variants
        .map(|line| line.split([' ', '(', ',']).next().unwrap_or_default())
        .map(kebab)
        .collect()
}

fn kebab(name: &str) -> String {
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[test]
fn every_message_and_every_error_is_on_the_page() {
    let page = read("PROTOCOL.md");
    let (incoming, stream) = (
        read("src/adapters/native/incoming.rs"),
        read("src/adapters/stream.rs"),
    );
    let mut words = quoted_words(incoming.split_once("mod tests").unwrap().0, false);
    words.extend(quoted_words(&stream, false));
    words.extend(outgoing(&read("src/adapters/native/outgoing.rs")));
    words.extend(outgoing(&stream));
    let peerjs = read("src/adapters/peerjs/mod.rs");
    let said = quoted(&peerjs, false);
    words.extend(said.filter(|word| word.bytes().all(|byte| byte.is_ascii_uppercase())));
    let socketio = read("src/adapters/socketio/mod.rs");
    let code = socketio.split_once("mod tests").unwrap().0;
    words.extend(quoted_words(code, false));
    let emitted = code.split("emit(").skip(1);
    let emitted: Vec<String> = emitted
        .filter_map(|call| call.split('"').nth(1))
        .filter(|word| is_word(word))
        .map(str::to_owned)
        .collect();
    assert!(
        emitted.len() > 10,
        "the source is not read right: {emitted:?}"
    );
    words.extend(emitted);
    words.extend(outgoing(&peerjs).iter().map(|word| word.to_uppercase()));
    words.extend(quoted_words(&read("src/hub/refusal.rs"), true));
    assert!(words.len() > 50, "the source is not read right: {words:?}");
    for word in words {
        assert!(
            page.contains(&format!("`{word}`")) || page.contains(&format!("\"{word}\"")),
            "{word} is not in PROTOCOL.md"
        );
    }
}

/// The messages of one direction, and the fields of each.
type Messages = BTreeMap<String, BTreeSet<String>>;

/// What the tables of the native protocol say: the rows below the head that begins so.
fn tabled(page: &str, head: &str) -> Messages {
    let native = page.split_once("\n## Rooms").unwrap().1;
    let native = native.split_once("\n## Errors").unwrap().0;
    let (mut messages, mut inside) = (Messages::new(), false);
    for line in native.lines() {
        inside = line.starts_with(head) || inside && line.starts_with('|');
        let cells: Vec<&str> = line.split('|').collect();
        let [_, names, fields, ..] = cells[..] else {
            continue;
        };
        if inside && names.contains('`') {
            // What stands in brackets explains.
            let fields = fields.split('(').next().unwrap_or_default();
            for name in ticked(names) {
                let known = messages.insert(name.clone(), ticked(fields).collect());
                assert!(known.is_none(), "{name} is on the page twice");
            }
        }
    }
    messages
}

/// What stands between backticks.
fn ticked(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The fields of a type, as they are written on the wire.
fn fields_of(body: &str) -> BTreeSet<String> {
    let (mut fields, mut renamed, mut flat) = (BTreeSet::new(), None, false);
    for line in body.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("#[serde(rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        } else if line == "#[serde(flatten)]" {
            flat = true;
        } else if let Some((name, _)) = line.split_once(": ")
            && !line.starts_with(['#', '/'])
        {
            match std::mem::take(&mut flat) {
                // The one type that is written into others.
                true => fields.extend(["id", "name", "userId"].map(str::to_owned)),
                false => {
                    fields.insert(renamed.take().unwrap_or_else(|| camel(name)));
                }
            }
        }
    }
    fields
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        camel.push_str(&word[..1].to_ascii_uppercase());
        camel.push_str(&word[1..]);
    }
    camel
}

/// What the server writes: the variants of its type, each of which begins at the same depth.
fn written(code: &str) -> Messages {
    let body = code.split_once("\nenum Outgoing<'a> {").unwrap().1;
    let body = body.split_once("\n}").unwrap().0;
    let (mut messages, mut name, mut fields) = (Messages::new(), String::new(), String::new());
    for line in body.lines() {
        let outer = line.strip_prefix("    ").unwrap_or_default();
        if outer.starts_with(|first: char| first.is_ascii_uppercase()) {
            name = kebab(outer.split([' ', ',']).next().unwrap());
            fields.clear();
        } else {
            fields.push_str(line);
            fields.push('\n');
        }
        if !name.is_empty() {
            messages.insert(name.clone(), fields_of(&fields));
        }
    }
    messages
}

/// What the server reads: the arms of its reader, and the structs that they name.
fn read_by(code: &str) -> Messages {
    let structs = |name: &str| {
        let body = code.split_once(&format!("\nstruct {name} {{")).unwrap().1;
        fields_of(body.split_once("\n}").unwrap().0)
    };
    let reader = code.split_once("match kind.as_str() {").unwrap().1;
    let reader = reader.split_once("_ => return").unwrap().0;
    let mut messages = Messages::new();
    for arm in reader.split("\n        \"").skip(1) {
        let (name, does) = arm.split_once("\" => ").unwrap();
        let fields = match does.split(['(', ':', '<']).next().unwrap() {
            "join" => structs("JoinFields"),
            "signal" => structs("SignalFields"),
            "initiate" => structs("InitiateFields"),
            "description" => structs("DescriptionFields"),
            "candidate" => structs("CandidateFields"),
            _ if does.contains("PresenceFields") => structs("PresenceFields"),
            _ if does.contains("CallFields") => structs("CallFields"),
            _ => BTreeSet::new(),
        };
        messages.insert(name.to_owned(), fields);
    }
    messages
}

#[test]
fn every_field_of_the_native_protocol_is_on_the_page_and_no_other() {
    let page = read("PROTOCOL.md");
    let incoming = read("src/adapters/native/incoming.rs");
    let mut reads = read_by(incoming.split_once("mod tests").unwrap().0);
    // What introduces a connection is read before its message is, out of the first one.
    let introduces = ["token", "key", "name"].map(str::to_owned);
    for first in ["hello", "join"] {
        reads.get_mut(first).unwrap().extend(introduces.clone());
    }
    assert_eq!(tabled(&page, "| → to the server"), reads);
    let mut writes = written(&read("src/adapters/native/outgoing.rs"));
    let error = writes.remove("error").unwrap();
    assert_eq!(tabled(&page, "| ← from the server"), writes);
    let errors = page.split_once("\n## Errors").unwrap().1;
    let errors = errors.split_once("\n| ").unwrap().0;
    for field in error {
        assert!(
            errors.contains(&field),
            "{field} of an error is not on the page"
        );
    }
}

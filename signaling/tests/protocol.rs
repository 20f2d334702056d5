//! The protocol's page names every message and every error that the code knows.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

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

//! Texts made from a registry: `--help`, the manual page, shell completions, the sample file and the option reference.
//!
//! In: what is shown of an option, and how text is wrapped. Not in: where the texts are stored.

mod completions;
mod files;
mod help;
mod manual;
mod reference;
mod sample;

pub use files::generated_files;

use crate::option::{Default, Kind, OptionSpec};

/// The word that stands for a value, or nothing for a flag.
fn placeholder(spec: &OptionSpec) -> &'static str {
    match spec.kind {
        Kind::Flag => "",
        Kind::Number(number) => match number.unit {
            "seconds" => "SECONDS",
            "bytes" => "BYTES",
            _ => "N",
        },
        Kind::Port { .. } => "PORT",
        Kind::Address => "ADDRESS",
        Kind::External => "PUBLIC[/PRIVATE]",
        Kind::Range => "RANGE",
        Kind::Clients => "RANGE[@LISTENER]",
        Kind::Endpoint => "ADDRESS:PORT",
        Kind::Server => "SERVER[:PORT]",
        Kind::Account => "NAME:PASSWORD",
        Kind::Character => "CHARACTER",
        Kind::Choice(_) => "CHOICE",
        Kind::Duration => "TIME",
        Kind::WebOrigin => "ORIGIN",
        Kind::Host => "HOST",
        Kind::Path => "FILE",
        Kind::UrlPath => "PATH",
        Kind::Text => "TEXT",
        Kind::Secret => "SECRET",
    }
}

/// What holds when nobody gives a value, for readers.
fn default_words(spec: &OptionSpec) -> String {
    match spec.default {
        // A bare colon would look like punctuation of the sentence.
        Default::Value(text) if spec.kind == Kind::Character => format!("\"{text}\""),
        Default::Value(text) | Default::Unset(text) => text.to_owned(),
    }
}

/// Breaks `text` into lines of at most `width` characters, each behind `indent`.
fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let needed = word.chars().count() + 1;
        if length == 0 || length + needed > width {
            if length > 0 {
                lines.push('\n');
            }
            lines.push_str(indent);
            length = indent.chars().count();
        } else {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += needed - 1;
    }
    lines
}

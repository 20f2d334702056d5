//! One value: from the text an operator wrote to its meaning.
//!
//! In: which reader serves which kind, and the parts of a text that are not its value (comments, semicolons). Not in:
//! how several values of one option combine (`values.rs`).

mod account;
mod address;
mod number;
mod text;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub(crate) use address::Named;
pub(crate) use number::{is_default, truth};

use crate::client_range::ClientRange;
use crate::ip_range::IpRange;
use crate::option::{Kind, OptionSpec};
use crate::secret::Secret;
use crate::settings::{External, User};

/// Holds a value that was understood.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Flag(bool),
    Number(u64),
    Port(u16),
    Address(IpAddr),
    External(External),
    Range(IpRange),
    Clients(ClientRange),
    Endpoint(SocketAddr),
    Server(Named),
    Account(User),
    Character(char),
    Duration(Duration),
    Text(String),
    Secret(Secret<String>),
}

/// A value, and what the operator should know about how it was read.
pub(crate) struct Reading {
    pub(crate) value: Value,
    pub(crate) remarks: Vec<String>,
}

/// Says why a text has no meaning for its option.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What is wrong, to stand behind "OPTION: ".
    pub(crate) text: String,
    /// What to do: a sentence.
    pub(crate) remedy: String,
}

impl Fault {
    fn new(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Fault {
            text: text.into(),
            remedy: remedy.into(),
        }
    }
}

/// Resolves a host name.
pub(crate) type Resolve<'a> = &'a dyn Fn(&str) -> Option<IpAddr>;

/// Reads `text` as a value of `spec`; an empty text is a key that stood alone.
pub(crate) fn read(spec: &OptionSpec, text: &str, resolve: Resolve<'_>) -> Result<Reading, Fault> {
    let mut remarks = Vec::new();
    let text = match spec.kind {
        Kind::Character => text,
        Kind::Secret | Kind::Account => {
            remarks.extend(remark_on_text(text));
            text
        }
        Kind::Path | Kind::Text => {
            let text = without_comment(text, &mut remarks);
            remarks.extend(remark_on_text(text));
            text
        }
        _ => without_tail(text, &mut remarks),
    };
    meaning(spec, text, resolve, remarks)
}

/// Reads a text that is the value to the letter.
pub(crate) fn read_exactly(
    spec: &OptionSpec,
    text: &str,
    resolve: Resolve<'_>,
) -> Result<Reading, Fault> {
    meaning(spec, text, resolve, Vec::new())
}

fn meaning(
    spec: &OptionSpec,
    text: &str,
    resolve: Resolve<'_>,
    mut remarks: Vec<String>,
) -> Result<Reading, Fault> {
    let value = match spec.kind {
        Kind::Flag => Value::Flag(number::flag(text, &mut remarks)?),
        Kind::Number(bounds) => Value::Number(number::number(spec, bounds, text, &mut remarks)?),
        Kind::Port { lowest } => Value::Port(number::port(text, lowest)?),
        Kind::Duration => Value::Duration(number::duration(text)?),
        Kind::Address => Value::Address(address::address(text, resolve)?),
        Kind::External => Value::External(address::external(text, resolve)?),
        Kind::Range => Value::Range(address::range(spec, text)?),
        Kind::Clients => Value::Clients(address::clients(text)?),
        Kind::Endpoint => Value::Endpoint(address::endpoint(text, resolve)?),
        Kind::Server => Value::Server(address::server(text, resolve)?),
        Kind::Account => Value::Account(account::account(text)?),
        Kind::Character => Value::Character(text::character(text, &mut remarks)?),
        Kind::Choice(words) => Value::Text(text::choice(text, words)?),
        Kind::WebOrigin => Value::Text(text::web_origin(text)?),
        Kind::Host => Value::Text(text::host(text)?),
        Kind::UrlPath => Value::Text(text::url_path(text)?),
        Kind::Path | Kind::Text => Value::Text(text::anything(spec, text)?),
        Kind::Secret => Value::Secret(Secret::new(text::anything(spec, text)?)),
    };
    Ok(Reading { value, remarks })
}

/// Cuts a comment and a semicolon off. Both stand in guides and in Synapse's own documentation; coturn's numbers survive
/// them, its other values end the start.
fn without_tail<'t>(text: &'t str, remarks: &mut Vec<String>) -> &'t str {
    let mut rest = without_comment(text, remarks);
    if let Some(before) = rest.strip_suffix(';') {
        rest = before.trim_end();
        remarks.push("the semicolon behind the value is ignored; remove it".into());
    }
    rest
}

/// Cuts a comment off. coturn takes it for a part of the value: a certificate is not found then, and a realm is another.
fn without_comment<'t>(text: &'t str, remarks: &mut Vec<String>) -> &'t str {
    let Some(at) = comment(text) else {
        return text;
    };
    remarks
        .push("the comment behind the value is ignored; put comments on lines of their own".into());
    text[..at].trim_end()
}

fn remark_on_text(text: &str) -> Option<String> {
    if comment(text).is_some_and(|at| at > 0) {
        return Some("\"#\" does not begin a comment behind a value, so it and what follows belong to the value".into());
    }
    if text.ends_with(';') {
        return Some(
            "the semicolon at the end belongs to the value; remove it if it is not meant".into(),
        );
    }
    let quoted = |quote: char| text.starts_with(quote);
    if quoted('\'')
        || quoted('\u{201c}')
        || quoted('\u{201d}')
        || quoted('\u{2018}')
        || quoted('\u{2019}')
    {
        return Some(
            "the quote belongs to the value; only straight double quotes are taken off".into(),
        );
    }
    None
}

/// Where a comment begins: at a `#` in front of everything or behind a blank.
fn comment(text: &str) -> Option<usize> {
    text.char_indices()
        .scan(true, |behind_blank, (at, character)| {
            let begins = *behind_blank && character == '#';
            *behind_blank = character.is_whitespace();
            Some(begins.then_some(at))
        })
        .flatten()
        .next()
}

impl fmt::Display for Value {
    /// Shows the value as an operator would write it; a secret is hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(on) => f.write_str(if *on { "yes" } else { "no" }),
            Value::Number(number) => write!(f, "{number}"),
            Value::Port(port) => write!(f, "{port}"),
            Value::Address(address) => write!(f, "{address}"),
            Value::External(external) => write!(f, "{external}"),
            Value::Range(range) => write!(f, "{range}"),
            Value::Clients(clients) => write!(f, "{clients}"),
            Value::Endpoint(endpoint) => write!(f, "{endpoint}"),
            Value::Server(server) => write!(f, "{server}"),
            Value::Account(user) => write!(f, "{}:(hidden)", user.name),
            Value::Character(character) => write!(f, "{character}"),
            Value::Duration(duration) => write!(f, "{duration:?}"),
            Value::Text(text) => f.write_str(text),
            Value::Secret(_) => f.write_str("(hidden)"),
        }
    }
}

/// Takes a value of one Rust type out of [`Value`].
pub(crate) trait FromValue: Sized {
    /// `None` when the value is of another kind.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($variant:ident => $type:ty),* $(,)?) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(inner) => Some(inner.clone()),
                    _ => None,
                }
            }
        }
    )*};
}

from_value! {
    Flag => bool,
    Number => u64,
    Port => u16,
    Address => IpAddr,
    External => External,
    Range => IpRange,
    Clients => ClientRange,
    Endpoint => SocketAddr,
    Server => Named,
    Account => User,
    Character => char,
    Duration => Duration,
    Text => String,
    Secret => Secret<String>,
}

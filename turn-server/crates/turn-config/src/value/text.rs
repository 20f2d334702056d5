//! Values that are words.

use super::Fault;
use crate::diagnostics::quote;
use crate::option::{Kind, OptionSpec, Status};

/// Takes any text. A template that was filled with nothing must not end the start for an option that does nothing.
pub(super) fn anything(spec: &OptionSpec, text: &str) -> Result<String, Fault> {
    if text.is_empty() && !spec.may_be_empty && spec.status == Status::Works {
        let example = match spec.kind {
            Kind::Secret => "Write the secret behind the name.".into(),
            _ => format!(
                "Write it behind the name, for example {}={}.",
                spec.long, spec.example
            ),
        };
        return Err(Fault::new("the value is missing", example));
    }
    if spec.kind == Kind::Secret && spec.works() {
        refuse_placeholder(text)?;
    }
    if text.contains('\0') {
        return Err(Fault::new("the value contains a zero byte", "Remove it."));
    }
    Ok(text.to_owned())
}

/// Refuses the secrets that the samples publish: with one of them, anybody could make credentials.
pub(super) fn refuse_placeholder(secret: &str) -> Result<(), Fault> {
    if secret.starts_with("replace-this") {
        return Err(Fault::new(
            "this is the published placeholder of the sample, no secret",
            "Write one of your own, for example the output of `openssl rand -hex 32`.",
        ));
    }
    Ok(())
}

pub(super) fn character(text: &str, remarks: &mut Vec<String>) -> Result<char, Fault> {
    const REMEDY: &str =
        "Write one ASCII character that is no letter and no digit, for example : or |.";
    let mut characters = text.chars();
    let first = characters
        .next()
        .ok_or_else(|| Fault::new("a character is missing", REMEDY))?;
    // A digit or letter would make "time, separator, user" ambiguous.
    if !first.is_ascii_punctuation() {
        return Err(Fault::new(
            format!("{first:?} cannot be a separator"),
            REMEDY,
        ));
    }
    if characters.next().is_some() {
        remarks.push(format!("only the first character counts: {first}"));
    }
    Ok(first)
}

pub(super) fn choice(text: &str, words: &'static [&'static str]) -> Result<String, Fault> {
    let text = text.trim();
    match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        Some(word) => Ok((*word).to_owned()),
        None if text.is_empty() => Err(Fault::new(
            "a value is missing",
            format!("Write one of {}.", words.join(", ")),
        )),
        None => Err(Fault::new(
            format!("{} is not possible", quote(text)),
            format!("Write one of {}.", words.join(", ")),
        )),
    }
}

pub(super) fn web_origin(text: &str) -> Result<String, Fault> {
    const REMEDY: &str = "Write what the browser sends, for example https://app.example.org or http://localhost:5173.";
    let text = text.trim();
    if text == "*" {
        return Ok(text.to_owned());
    }
    if text.is_empty() {
        return Err(Fault::new("an origin is missing", REMEDY));
    }
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match host {
        None => Err(Fault::new(
            format!("{} does not begin with http:// or https://", quote(text)),
            REMEDY,
        )),
        Some(host) if host.is_empty() || host.contains(['/', '?', '#', '@', ' ', ',']) => {
            Err(Fault::new(
                format!("{} is not scheme, host and port alone", quote(text)),
                REMEDY,
            ))
        }
        // Browsers send it in lower case.
        Some(_) => Ok(text.to_ascii_lowercase()),
    }
}

pub(super) fn host(text: &str) -> Result<String, Fault> {
    const REMEDY: &str = "Write a host name or an IP address, for example turn.example.org.";
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new("a host is missing", REMEDY));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    if text
        .chars()
        .all(|character| character.is_alphanumeric() || ".-_".contains(character))
    {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        format!(
            "{} is not a host; scheme and port do not belong here",
            quote(text)
        ),
        REMEDY,
    ))
}

pub(super) fn url_path(text: &str) -> Result<String, Fault> {
    const REMEDY: &str = "Write a path that begins with a slash, for example /metrics.";
    if text.is_empty() {
        return Err(Fault::new("a path is missing", REMEDY));
    }
    // A segment that begins with a colon or a star would be a pattern and not a name.
    let pattern = text
        .split('/')
        .any(|segment| segment.starts_with([':', '*']));
    if !text.starts_with('/') || pattern || text.contains([' ', '?', '#', '{', '}']) {
        return Err(Fault::new(
            format!("{} is not a path that can be requested", quote(text)),
            REMEDY,
        ));
    }
    Ok(text.to_owned())
}

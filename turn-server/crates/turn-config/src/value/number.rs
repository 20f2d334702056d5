//! Values made of digits, and yes or no.

use std::time::Duration;

use super::{Fault, Value};
use crate::diagnostics::quote;
use crate::option::{Default, Kind, Number, OptionSpec};

/// Reads yes or no by coturn's rule: the first letter decides; an empty text is yes.
pub(crate) fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("on") {
        return Some(true);
    }
    if text.eq_ignore_ascii_case("off") {
        return Some(false);
    }
    match text.chars().next() {
        None | Some('y' | 'Y' | 't' | 'T' | '1'..='9') => Some(true),
        Some('0' | 'n' | 'N' | 'f' | 'F') => Some(false),
        Some(_) => None,
    }
}

pub(super) fn flag(text: &str, remarks: &mut Vec<String>) -> Result<bool, Fault> {
    const WORDS: [&str; 13] = [
        "", "1", "0", "y", "n", "t", "f", "yes", "no", "true", "false", "on", "off",
    ];
    let on = truth(text).ok_or_else(|| {
        Fault::new(
            format!("{} is neither yes nor no", quote(text)),
            "Write yes or no, or the name alone for yes.",
        )
    })?;
    if !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        remarks.push(format!(
            "{} is read as {} by its first letter",
            quote(text),
            if on { "yes" } else { "no" }
        ));
    }
    Ok(on)
}

pub(super) fn number(
    spec: &OptionSpec,
    bounds: Number,
    text: &str,
    remarks: &mut Vec<String>,
) -> Result<u64, Fault> {
    if text.is_empty() && bounds.optional {
        return default_number(spec).ok_or_else(|| missing(bounds));
    }
    if text.is_empty() {
        return Err(missing(bounds));
    }
    let (value, junk) = leading_digits(text)
        .ok_or_else(|| Fault::new(format!("{} is not a number", quote(text)), ask(bounds)))?;
    if value < i128::from(bounds.min) {
        return Err(Fault::new(
            format!("{value} is below {}", bounds.min),
            ask(bounds),
        ));
    }
    if value > i128::from(bounds.max) {
        if !bounds.clamp {
            let Number { min, max, unit, .. } = bounds;
            return Err(Fault::new(
                format!("{value} is above {max}"),
                format!("Write a whole number ({unit}) from {min} to {max}."),
            ));
        }
        remarks.push(format!(
            "lowered from {value} to the highest possible, {}",
            bounds.max
        ));
        return Ok(bounds.max);
    }
    if !junk.is_empty() {
        remarks.push(format!(
            "{} is read as {value} {}; what follows the digits is ignored",
            quote(text),
            bounds.unit
        ));
    }
    u64::try_from(value).map_err(|_| missing(bounds))
}

fn default_number(spec: &OptionSpec) -> Option<u64> {
    match spec.default {
        Default::Value(text) => text.parse().ok(),
        Default::Unset(_) => None,
    }
}

fn missing(bounds: Number) -> Fault {
    Fault::new("a number is missing", ask(bounds))
}

fn ask(Number { min, max, unit, .. }: Number) -> String {
    if max >= u64::from(u32::MAX) {
        format!("Write a whole number ({unit}), {min} or more.")
    } else {
        format!("Write a whole number ({unit}) from {min} to {max}.")
    }
}

/// Reads as `atoi` does: blanks, a sign, digits; gives back what follows. Saturates instead of overflowing.
fn leading_digits(text: &str) -> Option<(i128, &str)> {
    let text = text.trim_start();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(unsigned.len());
    let (digits, junk) = unsigned.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.parse::<i128>().unwrap_or(i128::MAX);
    Some((if negative { -magnitude } else { magnitude }, junk.trim()))
}

pub(super) fn port(text: &str, lowest: u16) -> Result<u16, Fault> {
    let remedy = || format!("Write a port from {lowest} to 65535.");
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new("a port is missing", remedy()));
    }
    match leading_digits(text) {
        // coturn is strict here: a port with something behind it ends the start.
        Some((value, "")) => u16::try_from(value)
            .ok()
            .filter(|port| *port >= lowest)
            .ok_or_else(|| {
                let side = if value > 65_535 {
                    "above 65535".into()
                } else {
                    format!("below {lowest}")
                };
                Fault::new(format!("{value} is {side}"), remedy())
            }),
        _ => Err(Fault::new(
            format!("{} is not a port", quote(text)),
            remedy(),
        )),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let fault = |what: String| {
        Fault::new(
            what,
            "Write digits and a unit: 200us, 5ms or 1s, up to 60s.",
        )
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(fault("a time is missing".to_owned()));
    }
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let micros_per_unit: u64 = match unit.trim() {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return Err(fault(format!("{} is not a time", quote(text)))),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(micros_per_unit))
        .filter(|micros| *micros <= 60_000_000)
        .map(Duration::from_micros)
        .ok_or_else(|| {
            fault(format!(
                "{} is not a time between 0 and 60 seconds",
                quote(text)
            ))
        })
}

/// Whether a value says the same as the option's default.
pub(crate) fn is_default(spec: &OptionSpec, value: &Value) -> bool {
    let Default::Value(default) = spec.default else {
        return false;
    };
    match (spec.kind, value) {
        (Kind::Flag, Value::Flag(on)) => truth(default) == Some(*on),
        (Kind::Number(_), Value::Number(number)) => default.parse() == Ok(*number),
        (Kind::Port { .. }, Value::Port(port)) => default.parse() == Ok(*port),
        (_, Value::Text(text)) => text == default,
        _ => false,
    }
}

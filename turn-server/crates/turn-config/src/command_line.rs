//! Reads flags by the rules of `getopt_long`, as coturn does, mended where they bite.
//!
//! In: long and short flags, their values, abbreviations. Not in: what values mean (`value/`).
//!
//! Mended: `-K` may stand alone, `-p=3478` loses its `=`, `-v=no` is read, and a number behind a flag that takes its
//! value only behind `=` is taken (coturn would use the default and drop the number). Added: `--no-NAME` for each flag NAME.

use std::ffi::OsString;
use std::iter::Peekable;
use std::vec::IntoIter;

use crate::diagnostics::{Error, quote};
use crate::names::Unnamed;
use crate::option::{Kind, OptionSpec, Registry};
use crate::origin::Origin;
use crate::raw::Raw;

/// Reads the arguments of `registry`'s program, without the program's name.
///
/// # Errors
/// [`Error::Usage`] for an unknown or ambiguous flag, and for one without the value it needs.
pub fn read_command_line(
    registry: &'static Registry,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Raw, Error> {
    let mut words = Vec::new();
    for (index, word) in args.into_iter().enumerate() {
        let word = word
            .into_string()
            .map_err(|_| usage(registry, format!("argument {} is not UTF-8", index + 1)))?;
        words.push(word);
    }
    let mut reader = Reader {
        registry,
        words: words.into_iter().peekable(),
        raw: Raw::default(),
        after: None,
    };
    while let Some(word) = reader.words.next() {
        reader.read(&word)?;
    }
    Ok(reader.raw)
}

struct Reader {
    registry: &'static Registry,
    words: Peekable<IntoIter<String>>,
    raw: Raw,
    /// The option of the flag just read, and whether it still lacks a value.
    after: Option<&'static OptionSpec>,
}

impl Reader {
    fn read(&mut self, word: &str) -> Result<(), Error> {
        if word == "--" {
            while let Some(word) = self.words.next() {
                self.stray(&word);
            }
            return Ok(());
        }
        if let Some(long) = word.strip_prefix("--") {
            return self.long(long);
        }
        match word.strip_prefix('-') {
            Some(cluster) if !cluster.is_empty() => self.short(cluster),
            _ => {
                self.stray(word);
                Ok(())
            }
        }
    }

    fn long(&mut self, written: &str) -> Result<(), Error> {
        let (name, value) = match written.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (written, None),
        };
        let flag = format!("--{name}");
        let spec = match self.registry.find_abbreviated(name) {
            Ok(spec) => spec,
            Err(unnamed) => {
                return match self.registry.find_negated(name) {
                    Some(spec) => self.negated(spec, &flag, value),
                    None => Err(self.unnamed(&flag, unnamed)),
                };
            }
        };
        match value {
            Some(value) => self.push(spec, &flag, value),
            None => self.value_behind(spec, &flag)?,
        }
        Ok(())
    }

    /// Reads `--no-verbose`, the same as `--verbose=no`.
    fn negated(
        &mut self,
        spec: &'static OptionSpec,
        flag: &str,
        value: Option<&str>,
    ) -> Result<(), Error> {
        let yes = value.map_or(Some(true), crate::value::truth);
        let Some(yes) = yes else {
            let text = format!("{flag} takes yes or no, if anything");
            return Err(usage(self.registry, text));
        };
        self.push(spec, flag, if yes { "no" } else { "yes" });
        Ok(())
    }

    /// Reads `-p 3478`, `-p3478`, and flags without values in a row: `-va`.
    fn short(&mut self, cluster: &str) -> Result<(), Error> {
        let mut rest = cluster;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            let flag = format!("-{}", letter.escape_debug());
            let spec = self
                .registry
                .find_short(letter)
                .ok_or_else(|| self.unnamed(&flag, Unnamed::Unknown))?;
            if let Some(value) = rest.strip_prefix('=') {
                self.raw.report.warn(
                    origin(&flag),
                    format!("{}: the \"=\" is ignored; a short flag is written with a blank: {flag} VALUE", spec.long),
                );
                self.push(spec, &flag, value);
                return Ok(());
            }
            if rest.is_empty() {
                return self.value_behind(spec, &flag);
            }
            if spec.takes_next_word() {
                self.push(spec, &flag, rest);
                return Ok(());
            }
            self.push(spec, &flag, "");
        }
        Ok(())
    }

    /// Takes the value from the next word where the option is of that kind.
    fn value_behind(&mut self, spec: &'static OptionSpec, flag: &str) -> Result<(), Error> {
        if spec.takes_next_word() {
            let value = self.words.next().ok_or_else(|| {
                let example = if spec.is_secret() {
                    "VALUE"
                } else {
                    spec.example
                };
                usage(
                    self.registry,
                    format!(
                        "{flag} needs a value, for example --{}={example}",
                        spec.long
                    ),
                )
            })?;
            self.warn_about_a_swallowed_flag(flag, &value);
            self.push(spec, flag, &value);
            return Ok(());
        }
        let next = self
            .words
            .peek()
            .filter(|next| belongs_behind(spec, flag, next))
            .cloned();
        if let Some(value) = next {
            self.words.next();
            self.push(spec, flag, &value);
        } else {
            self.push(spec, flag, "");
        }
        Ok(())
    }

    fn warn_about_a_swallowed_flag(&mut self, flag: &str, value: &str) {
        let name = value
            .strip_prefix("--")
            .and_then(|name| name.split('=').next());
        if let Some(spec) = name.and_then(|name| self.registry.find(name)) {
            self.raw.report.warn(
                origin(flag),
                format!("the flag --{} is taken as the value of {flag}", spec.long),
            );
        }
    }

    fn push(&mut self, spec: &'static OptionSpec, flag: &str, value: &str) {
        self.raw.push(spec, value, origin(flag));
        self.after = Some(spec);
    }

    /// A word that belongs to no flag; coturn complains about it and goes on.
    fn stray(&mut self, word: &str) {
        // It may be the second half of a password with a blank in it.
        let shown = match self.after {
            Some(spec) if spec.is_secret() => "the word".to_owned(),
            _ => quote(word),
        };
        let text = match self.after {
            Some(spec) if spec.kind == Kind::Flag && crate::value::truth(word).is_some() => {
                format!(
                    "{shown} belongs to no flag and is ignored; if it is meant for --{0}, write --{0}=VALUE",
                    spec.long
                )
            }
            Some(spec) => format!(
                "{shown} behind --{} belongs to no flag and is ignored",
                spec.long
            ),
            None => format!("{shown} belongs to no flag and is ignored"),
        };
        self.raw.report.warn(
            Origin::CommandLine {
                flag: "a stray word".into(),
            },
            text,
        );
    }

    fn unnamed(&self, flag: &str, unnamed: Unnamed) -> Error {
        let shown = flag.escape_debug();
        let text = match unnamed {
            Unnamed::Ambiguous(names) => format!("{shown} could be {}", listed(&names)),
            Unnamed::Unknown => match self.registry.nearest(flag) {
                Some(name) if flag.len() > 2 => {
                    format!("unknown flag {shown}; did you mean --{name}?")
                }
                _ => format!("unknown flag {shown}"),
            },
        };
        usage(self.registry, text)
    }
}

/// Whether the next word is the value of a flag that need not have one.
fn belongs_behind(spec: &OptionSpec, flag: &str, next: &str) -> bool {
    match spec.kind {
        Kind::Number(number) => {
            number.optional && !next.is_empty() && next.bytes().all(|byte| byte.is_ascii_digit())
        }
        // coturn's -K wants a word, its long form does not.
        Kind::Flag => flag == "-K" && crate::value::truth(next).is_some() && !next.is_empty(),
        _ => false,
    }
}

fn origin(flag: &str) -> Origin {
    Origin::CommandLine { flag: flag.into() }
}

fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("--{name}"))
        .collect::<Vec<_>>()
        .join(" or ")
}

fn usage(registry: &Registry, text: String) -> Error {
    let program = registry.program;
    let synopsis = registry.synopsis.replace('\n', "\n  ");
    Error::Usage(format!(
        "{program}: {text}\n\nUsage:\n  {synopsis}\n\nAll flags: {program} --help"
    ))
}

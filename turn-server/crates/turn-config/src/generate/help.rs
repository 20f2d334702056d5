//! The text of `--help`.

use std::fmt::Write;

use super::{default_words, placeholder, wrapped};
use crate::option::{Kind, OptionSpec, Registry, Status};

const WIDTH: usize = 100;

impl Registry {
    /// The text of `--help`: every option that works, and the names of those that are accepted only.
    pub fn help_text(&self) -> String {
        let synopsis = self.synopsis.replace('\n', "\n  ");
        let mut text = format!(
            "{}\n\nUsage:\n  {synopsis}\n",
            wrapped(self.about, "", WIDTH)
        );
        for group in self.groups {
            let mut working = group
                .options
                .iter()
                .filter(|option| option.works())
                .peekable();
            if working.peek().is_some() {
                // Writing to a string cannot fail, here and below.
                let _ = writeln!(text, "\n{}:", group.title);
            }
            for option in working {
                let _ = writeln!(text, "{}", entry(option));
            }
        }
        let missing = self.names(|status| matches!(status, Status::NotYet(_)));
        if !missing.is_empty() {
            let _ = writeln!(
                text,
                "\nAccepted with a warning, not built yet:\n{}",
                wrapped(&missing, "  ", WIDTH)
            );
        }
        let idle = self.names(|status| matches!(status, Status::NoEffect(_) | Status::Removed(_)));
        if !idle.is_empty() {
            let _ = writeln!(
                text,
                "\nAccepted without effect:\n{}",
                wrapped(&idle, "  ", WIDTH)
            );
        }
        text
    }

    fn names(&self, wanted: impl Fn(Status) -> bool) -> String {
        let options = self.options().filter(|option| wanted(option.status));
        options
            .map(|option| option.long)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn entry(option: &OptionSpec) -> String {
    let mut flag = match option.short {
        Some(short) => format!("  -{short}, --{}", option.long),
        None => format!("      --{}", option.long),
    };
    if !placeholder(option).is_empty() {
        let _ = write!(flag, "={}", placeholder(option));
    }
    for alias in option.aliases {
        let _ = write!(flag, ", --{alias}");
    }
    let mut help = option.help.to_owned();
    if let Kind::Choice(words) = option.kind {
        let _ = write!(help, " One of {}.", words.join(", "));
    }
    if !option.command_line_only {
        let _ = write!(help, " Default: {}.", default_words(option));
    }
    format!("{flag}\n{}", wrapped(&help, "          ", WIDTH))
}

//! The option reference, in Markdown.

use std::fmt::Write;

use super::{default_words, placeholder};
use crate::option::{Change, Kind, OptionSpec, Registry, Status};

impl Registry {
    /// A page with a table per group: every option, its default, and what it does or why it does nothing.
    pub fn option_reference(&self) -> String {
        let mut text = format!(
            "# Options of `{program}`\n\n\
             Made from the registry of options by `cargo run -p turn-config --example generate`.\n\
             {notes}\n",
            program = self.program,
            notes = self.notes.reference
        );
        let (change, rule) = match self.notes.changes {
            true => ("Change | ", "---|"),
            false => ("", ""),
        };
        for group in self.groups {
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(
                text,
                "\n## {}\n\n| Option | Default | {change}Meaning |\n|---|---|{rule}---|",
                group.title
            );
            for option in group.options {
                let _ = writeln!(text, "{}", row(option, self.notes.changes));
            }
        }
        text
    }
}

fn row(option: &OptionSpec, changes: bool) -> String {
    let mut name = format!("`{}`", option.long);
    if !placeholder(option).is_empty() {
        name = format!("`{}={}`", option.long, placeholder(option));
    }
    if let Some(short) = option.short {
        let _ = write!(name, ", `-{short}`");
    }
    for alias in option.aliases {
        let _ = write!(name, ", `{alias}`");
    }
    let mut meaning = option.help.to_owned();
    if let Kind::Choice(words) = option.kind {
        let _ = write!(meaning, " One of {}.", words.join(", "));
    }
    meaning.push_str(match (option.ours, option.short) {
        (false, _) => "",
        // Every short flag is coturn's.
        (true, Some(_)) => " *coturn has the short form only.*",
        (true, None) => " *coturn does not have it.*",
    });
    match option.status {
        Status::Works => {}
        Status::NoEffect(reason) => {
            let _ = write!(meaning, " **No effect:** {reason}.");
        }
        Status::NotYet(reason) => {
            let _ = write!(meaning, " **Not yet:** {reason}.");
        }
        Status::Removed(reason) => {
            let _ = write!(meaning, " **Gone:** {reason}.");
        }
    }
    let default = if option.command_line_only {
        String::new()
    } else {
        default_words(option)
    };
    let change = match option.change {
        _ if !option.works() || option.command_line_only => "",
        Change::Reload => "reload",
        Change::Restart => "restart",
    };
    let change = match changes {
        true => format!(" {change} |"),
        false => String::new(),
    };
    format!(
        "| {name} | {} |{change} {} |",
        escaped(&default),
        escaped(&meaning)
    )
}

/// A bar would end the cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

//! The commented sample file.

use std::fmt::Write;

use super::{default_words, wrapped};
use crate::option::{Default, Kind, OptionSpec, Registry};

const WIDTH: usize = 100;

impl Registry {
    /// A file in coturn's syntax with every option that works, each commented out; `head` is put in front as a comment.
    pub fn sample_file(&self, head: &str) -> String {
        let mut text = String::new();
        for paragraph in head.lines() {
            let _ = writeln!(
                text,
                "{}",
                if paragraph.is_empty() {
                    "#".into()
                } else {
                    wrapped(paragraph, "# ", WIDTH)
                }
            );
        }
        for group in self.groups {
            let mut options = group
                .options
                .iter()
                .filter(|option| option.works() && !option.command_line_only)
                .peekable();
            if options.peek().is_some() {
                let _ = writeln!(
                    text,
                    "\n# {rule} {} {rule}",
                    group.title,
                    rule = "-".repeat(8)
                );
            }
            for option in options {
                let _ = write!(text, "\n{}", entry(option));
            }
        }
        text
    }
}

fn entry(option: &OptionSpec) -> String {
    let mut help = option.help.to_owned();
    if let Kind::Choice(words) = option.kind {
        let _ = write!(help, " One of {}.", words.join(", "));
    }
    if option.ours {
        help.push_str(" (coturn does not have it.)");
    }
    let _ = write!(help, " Default: {}.", default_words(option));
    format!("{}\n#{}\n", wrapped(&help, "# ", WIDTH), line(option))
}

/// The line that an operator would uncomment.
fn line(option: &OptionSpec) -> String {
    match (option.kind, option.default) {
        (Kind::Flag, Default::Value("yes")) => format!("{}=no", option.long),
        (Kind::Flag, _) => option.long.to_owned(),
        (_, Default::Value(value)) => format!("{}={value}", option.long),
        _ => format!("{}={}", option.long, option.example),
    }
}

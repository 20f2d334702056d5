//! The manual page, in the macros of man(7).

use std::fmt::Write;

use super::{default_words, placeholder};
use crate::option::{Kind, OptionSpec, Registry, Status};

impl Registry {
    /// The manual page of the program, section 8.
    pub fn manual(&self) -> String {
        let program = self.program;
        let title = program.to_uppercase();
        let mut page = format!(
            ".\\\" Made from the registry of options; do not edit it.\n.TH {title} 8 \"\" \"Turnpike\" \"System Administration\"\n\
             .SH NAME\n{program} \\- {}\n.SH SYNOPSIS\n.nf\n",
            plain(self.about.trim_end_matches('.'))
        );
        for form in self.synopsis.lines() {
            // The form and what it does stand apart by blanks.
            let form = form.split("  ").next().unwrap_or_default();
            let _ = writeln!(page, "{}", line(form));
        }
        let _ = writeln!(page, ".fi\n.SH DESCRIPTION\n{}", line(self.about));
        page.push_str(self.notes.manual);
        page.push_str(".SH OPTIONS\n");
        for group in self.groups {
            let mut working = group.options.iter().filter(|spec| spec.works()).peekable();
            if working.peek().is_some() {
                // Writing to a string cannot fail, here and elsewhere in this file.
                let _ = writeln!(page, ".SS {}", line(group.title));
            }
            for spec in working {
                page.push_str(&entry(spec));
            }
        }
        if self.options().any(|spec| !spec.works()) {
            page.push_str(&self.idle());
        }
        page.push_str(self.notes.manual_end);
        page
    }

    /// The names that are accepted and do nothing.
    fn idle(&self) -> String {
        let mut text = String::from(
            ".SH ACCEPTED WITHOUT EFFECT\nOptions of coturn that are known, and do nothing here:\n",
        );
        for spec in self.options() {
            let reason = match spec.status {
                Status::Works => continue,
                Status::NoEffect(reason) | Status::NotYet(reason) | Status::Removed(reason) => {
                    reason
                }
            };
            let _ = writeln!(text, ".TP\n.B {}\n{}.", plain(spec.long), line(reason));
        }
        text
    }
}

fn entry(spec: &OptionSpec) -> String {
    let mut flags = String::new();
    if let Some(short) = spec.short {
        let _ = write!(flags, "\\-{short}, ");
    }
    let _ = write!(flags, "\\-\\-{}", plain(spec.long));
    for alias in spec.aliases {
        let _ = write!(flags, ", \\-\\-{}", plain(alias));
    }
    let value = placeholder(spec);
    let tag = if value.is_empty() {
        format!(".B {flags}")
    } else {
        format!(".BI \"{flags}=\" \"{}\"", plain(value))
    };
    let mut help = spec.help.to_owned();
    if let Kind::Choice(words) = spec.kind {
        let _ = write!(help, " One of {}.", words.join(", "));
    }
    if spec.ours && !spec.command_line_only {
        help.push_str(" (coturn does not have it.)");
    }
    if !spec.command_line_only {
        let _ = write!(help, " Default: {}.", default_words(spec));
    }
    format!(".TP\n{tag}\n{}\n", line(&help))
}

/// A line of text: it must not begin like a macro.
fn line(text: &str) -> String {
    let text = plain(text);
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

/// Escapes what the formatter would take for its own.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('"', "\\(dq");
    text.replace('-', "\\-")
}

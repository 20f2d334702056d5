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
        page.push_str(&self.reading());
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
        page.push_str(&self.idle());
        page.push_str(END);
        page
    }

    /// How values are written, and which of them count.
    fn reading(&self) -> String {
        let prefix = self.variable_prefix();
        format!(
            ".PP\nOptions are given in a file\n.RB ( name=value ,\nas in coturn's turnserver.conf, or TOML in a file whose name ends in\n\
             .BR .toml ),\nin the environment\n.RB ( {prefix}NAME=value ,\nin capitals and with underscores; of a list, values are separated by \
             commas, or by line ends where they may contain commas)\nand on the command line\n.RB ( \\-\\-name=value ;\nunique \
             beginnings of names are enough, and a flag is turned off by\n.BR \\-\\-no\\-name ).\n.PP\nWhat comes later replaces what \
             came before and extends its lists: the file, the environment, the command line.\n"
        )
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

const END: &str = ".SH FILES\n.TP\n.I turnserver.conf\nis read where no other file is named: from the working folder, its subfolders etc, \
                   turnserver and coturn, /etc and /usr/local/etc, in this order.\n.SH EXIT STATUS\n.TP\n.B 0\nIt was asked to \
                   end.\n.TP\n.B 1\nIt cannot start; standard error says why and what to do.\n.TP\n.B 2\nThe command line is not \
                   understood.\n.TP\n.B 3\nIt failed while running.\n.SH SEE ALSO\nRFC 8489, RFC 8656\n";

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

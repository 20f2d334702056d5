//! Completions for bash, zsh and fish.
//!
//! In: which flags there are and what may follow each. Not in: options that do nothing, which nobody needs to find.

use std::fmt::Write;

use super::placeholder;
use crate::option::{Kind, OptionSpec, Registry};

impl Registry {
    fn completed(&self) -> impl Iterator<Item = &'static OptionSpec> {
        self.options().filter(|spec| spec.works())
    }

    /// For bash, with nothing but what it has itself.
    pub fn bash_completion(&self) -> String {
        let program = self.program;
        let mut flags = String::new();
        let mut files = Vec::new();
        let mut choices = String::new();
        for spec in self.completed() {
            let end = if spec.kind == Kind::Flag { "" } else { "=" };
            let _ = writeln!(flags, "    --{}{end}", spec.long);
            let names: Vec<String> = (std::iter::once(format!("--{}", spec.long)))
                .chain(spec.short.map(|short| format!("-{short}")))
                .collect();
            match spec.kind {
                Kind::Path => files.extend(names),
                Kind::Choice(words) => {
                    let _ = writeln!(
                        choices,
                        "    {}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;",
                        names.join("|"),
                        words.join(" ")
                    );
                }
                _ => {}
            }
        }
        format!(
            "# Completion of {program} for bash. Made from the registry of options; do not edit it.\n\
             _{program}() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}} flag=${{COMP_WORDS[COMP_CWORD-1]}}\n\
             \x20 # bash takes the = for a word of its own.\n\
             \x20 if [[ $word == = ]]; then word=; elif [[ $flag == = ]]; then flag=${{COMP_WORDS[COMP_CWORD-2]}}; fi\n\
             \x20 COMPREPLY=()\n  case $flag in\n    {}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n\
             {choices}  esac\n  [[ $word == -* ]] || return\n  COMPREPLY=($(compgen -W '\n{flags}  ' -- \"$word\"))\n\
             \x20 if [[ ${{COMPREPLY[0]}} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n}}\ncomplete -F _{program} {program}\n",
            files.join("|")
        )
    }

    /// For zsh; the file belongs into a folder of `fpath`.
    pub fn zsh_completion(&self) -> String {
        let program = self.program;
        let mut text = format!(
            "#compdef {program}\n# Made from the registry of options; do not edit it.\n_arguments -s \\\n"
        );
        for spec in self.completed() {
            let long = format!("--{}", spec.long);
            let repeat = if spec.list { "*" } else { "" };
            let help = for_zsh(spec.help);
            let value = match spec.kind {
                Kind::Flag => String::new(),
                Kind::Path => format!(":{}:_files", placeholder(spec)),
                Kind::Choice(words) => format!(":{}:({})", placeholder(spec), words.join(" ")),
                _ => format!(":{}: ", for_zsh(placeholder(spec))),
            };
            let end = if spec.takes_next_word() { "=" } else { "" };
            let _ = match spec.short {
                Some(short) => {
                    let exclude = if spec.list {
                        String::from("*")
                    } else {
                        format!("(-{short} {long})")
                    };
                    let plus = if spec.takes_next_word() { "+" } else { "" };
                    writeln!(
                        text,
                        "  '{exclude}'{{-{short}{plus},{long}{end}}}'[{help}]{value}' \\"
                    )
                }
                None => writeln!(text, "  '{repeat}{long}{end}[{help}]{value}' \\"),
            };
        }
        text.push_str("  && return 0\n");
        text
    }

    /// For fish.
    pub fn fish_completion(&self) -> String {
        let program = self.program;
        let mut text = format!(
            "# Completion of {program} for fish. Made from the registry of options; do not edit it.\ncomplete -c {program} -f\n"
        );
        for spec in self.completed() {
            let _ = write!(text, "complete -c {program} -l {}", spec.long);
            if let Some(short) = spec.short {
                let _ = write!(text, " -s {short}");
            }
            match spec.kind {
                Kind::Flag => {}
                Kind::Path => text.push_str(" -r -F"),
                Kind::Choice(words) => {
                    let _ = write!(text, " -x -a '{}'", words.join(" "));
                }
                _ => text.push_str(" -x"),
            }
            let help = spec.help.replace('\\', "\\\\").replace('\'', "\\'");
            let _ = writeln!(text, " -d '{help}'");
        }
        text
    }
}

/// Inside single quotes and brackets of `_arguments`.
fn for_zsh(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\'' => escaped.push_str("'\\''"),
            '[' | ']' | ':' | '\\' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

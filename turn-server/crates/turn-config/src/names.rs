//! Finding an option by what an operator wrote: exactly, by a unique beginning, or nearly.

use crate::option::{Kind, OptionSpec, Registry, Status};

/// Says why a long flag names no option.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// It is the beginning of several.
    Ambiguous(Vec<&'static str>),
    /// It is the beginning of none.
    Unknown,
}

impl Registry {
    /// Finds a long flag as `getopt_long` does: the whole name, or a beginning that only one option has.
    ///
    /// What is a unique beginning in coturn is one here: options that coturn has no more step back behind those that it
    /// has, and ours behind both.
    pub(crate) fn find_abbreviated(&self, written: &str) -> Result<&'static OptionSpec, Unnamed> {
        if let Some(option) = self.find(written) {
            return Ok(option);
        }
        let candidates: Vec<_> = self
            .options()
            .filter(|option| option.names().any(|name| name.starts_with(written)))
            .collect();
        let Some(front) = candidates.iter().map(|option| rank(option)).min() else {
            return Err(Unnamed::Unknown);
        };
        let mut foremost = candidates.iter().filter(|option| rank(option) == front);
        match (foremost.next(), foremost.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Unnamed::Ambiguous(
                candidates.iter().map(|option| option.long).collect(),
            )),
        }
    }

    /// The flag that `--no-NAME` turns off, where no option has that name itself. It is never shortened: what begins with
    /// `--no-` has many continuations.
    pub(crate) fn find_negated(&self, written: &str) -> Option<&'static OptionSpec> {
        let spec = self.find(written.strip_prefix("no-")?)?;
        let flag = spec.kind == Kind::Flag && !spec.command_line_only;
        (flag && !spec.long.starts_with("no-")).then_some(spec)
    }

    /// The name most like `written`, when it is like enough to be meant.
    pub(crate) fn nearest(&self, written: &str) -> Option<&'static str> {
        const LONGEST: usize = 48;
        if written.len() > LONGEST {
            return None;
        }
        let written = written.trim_start_matches('-').replace('_', "-");
        let farthest = if written.len() < 5 { 1 } else { 2 };
        self.options()
            .flat_map(OptionSpec::names)
            .map(|name| (distance(&written, &name.replace('_', "-")), name))
            .filter(|(distance, _)| *distance <= farthest)
            .min()
            .map(|(_, name)| name)
    }
}

/// How far back an option stands where a beginning fits several.
fn rank(option: &OptionSpec) -> u8 {
    match option.status {
        _ if option.ours => 2,
        Status::Removed(_) => 1,
        Status::Works | Status::NoEffect(_) | Status::NotYet(_) => 0,
    }
}

/// How many letters must be changed, added or removed to turn one word into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = row[column] + usize::from(letter != *other);
            next.push(replaced.min(row[column + 1] + 1).min(next[column] + 1));
        }
        row = next;
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::TURNSERVER;

    fn found(written: &str) -> Result<&'static str, Unnamed> {
        TURNSERVER
            .find_abbreviated(written)
            .map(|option| option.long)
    }

    #[test]
    fn a_unique_beginning_is_enough() {
        assert_eq!(found("external"), Ok("external-ip"));
        assert_eq!(found("lt"), Ok("lt-cred-mech"));
        assert_eq!(found("fing"), Ok("fingerprint"));
    }

    #[test]
    fn a_whole_name_wins_over_longer_ones() {
        assert_eq!(found("user"), Ok("user"));
        assert_eq!(found("verbose"), Ok("verbose"));
        assert_eq!(found("no-udp"), Ok("no-udp"));
    }

    /// In coturn 4.7 and later `--no-tlsv1` is a beginning of `--no-tlsv1_2` and raises the minimum to TLS 1.3.
    #[test]
    fn a_removed_option_is_not_taken_for_the_beginning_of_another() {
        assert_eq!(found("no-tlsv1"), Ok("no-tlsv1"));
    }

    #[test]
    fn beginnings_that_were_unique_in_coturn_still_are() {
        assert_eq!(found("check"), Ok("check-origin-consistency"));
        assert_eq!(found("allow-"), Ok("allow-loopback-peers"));
    }

    #[test]
    fn two_names_of_one_option_are_no_ambiguity() {
        assert_eq!(found("sql-user"), Ok("psql-userdb"));
        assert_eq!(found("userd"), Ok("userdb"));
    }

    #[test]
    fn an_ambiguous_beginning_names_all_that_it_could_mean() {
        let Err(Unnamed::Ambiguous(names)) = found("listening") else {
            panic!("not ambiguous")
        };
        assert_eq!(
            names,
            ["listening-ip", "listening-port", "listening-device"]
        );
    }

    #[test]
    fn a_misspelt_name_is_recognised_and_a_foreign_one_is_not() {
        assert_eq!(TURNSERVER.nearest("listening_port"), Some("listening-port"));
        assert_eq!(
            TURNSERVER.nearest("static-auth-sectret"),
            Some("static-auth-secret")
        );
        assert_eq!(TURNSERVER.nearest("--relam"), Some("realm"));
        assert_eq!(TURNSERVER.nearest("frobnicate"), None);
    }
}

//! The command line of a question.

use std::{path::PathBuf, time::Duration};

use turn_server::control::protocol::{Level, Request, Transport, Which};

/// The commands for a running server.
pub(super) const COMMANDS: [&str; 8] = [
    "status",
    "sessions",
    "kill",
    "drain",
    "undrain",
    "reload",
    "log-level",
    "metrics",
];

/// The server closes connections that are silent for longer.
const LONGEST_WATCH: u64 = 30;

/// What is asked, and how the answer is shown.
#[derive(Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) request: Request,
    /// The server's own lines.
    pub(super) json: bool,
    /// Ask again and again, this often.
    pub(super) watch: Option<Duration>,
}

/// Reads a command's arguments.
pub(super) fn read(command: &str, arguments: &[String]) -> Result<Ask, String> {
    let mut ask = Ask {
        request: Request::Status,
        json: false,
        watch: None,
    };
    let (mut which, mut words) = (Which::default(), Vec::new());
    let selects = matches!(command, "sessions" | "kill");
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        match name {
            "--json" => ask.json = true,
            "--watch" if command == "sessions" => ask.watch = Some(interval(value.as_deref())?),
            "--user" | "--id" | "--client" | "--relayed" | "--peer" | "--transport" if selects => {
                let value = value.or_else(|| rest.next().cloned());
                select(
                    &mut which,
                    name,
                    &value.ok_or(format!("{name} needs a value"))?,
                )?;
            }
            _ if name.starts_with('-') => return Err(format!("{argument}: unknown option")),
            _ => words.push(argument.as_str()),
        }
    }
    ask.request = match (command, words.as_slice()) {
        ("status", []) => Request::Status,
        ("sessions", []) => Request::Sessions(which),
        ("kill", []) if which == Which::default() => {
            return Err("say whom: --user, --id, --client, --relayed or --peer".to_owned());
        }
        ("kill", []) => Request::Kill(which),
        ("drain", []) => Request::Drain,
        ("undrain", []) => Request::Undrain,
        ("reload", []) => Request::Reload,
        ("log-level", []) => Request::LogLevel { level: None },
        ("log-level", [word]) => Request::LogLevel {
            level: Some(level(word)?),
        },
        ("metrics", []) => Request::Metrics,
        _ => return Err(format!("{}: not expected here", words.join(" "))),
    };
    Ok(ask)
}

fn interval(value: Option<&str>) -> Result<Duration, String> {
    let seconds = value.map_or(Ok(1), str::parse);
    let seconds = seconds
        .ok()
        .filter(|seconds| (1..=LONGEST_WATCH).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("--watch takes 1 to {LONGEST_WATCH} seconds"))
}

fn select(which: &mut Which, name: &str, value: &str) -> Result<(), String> {
    match name {
        "--user" => which.user = Some(value.to_owned()),
        "--id" => which.id = Some(value.to_owned()),
        "--client" => which.client = Some(value.parse()?),
        "--relayed" => which.relayed = Some(value.parse()?),
        "--peer" => which.peer = Some(value.parse()?),
        _ => {
            let named = |transport: &Transport| transport.name() == value;
            let found = Transport::ALL.into_iter().find(named);
            which.transport = Some(found.ok_or("--transport is udp, tcp, tls or dtls")?);
        }
    }
    Ok(())
}

fn level(word: &str) -> Result<Level, String> {
    let found = Level::ALL.into_iter().find(|level| level.name() == word);
    found.ok_or_else(|| {
        let names = Level::ALL.map(Level::name).join(", ");
        format!("{word}: no level; there are {names}")
    })
}

/// Takes `--socket=PATH` out of the words, which may stand anywhere, with or without the equals sign.
pub(crate) fn take_socket(words: &mut Vec<String>) -> Result<Option<PathBuf>, String> {
    let is_it = |word: &String| word == "--socket" || word.starts_with("--socket=");
    let Some(place) = words.iter().position(is_it) else {
        return Ok(None);
    };
    let word = words.remove(place);
    let path = match word.split_once('=') {
        Some((_, path)) => path.to_owned(),
        None if place < words.len() => words.remove(place),
        None => String::new(),
    };
    if path.is_empty() {
        return Err("--socket needs a path: --socket=PATH".to_owned());
    }
    Ok(Some(path.into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use turn_server::control::protocol::{Level, Request, Transport, Which};

    use super::{Ask, COMMANDS, read, take_socket};

    fn ask(line: &str) -> Result<Ask, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (command, arguments) = words.split_first().unwrap();
        read(command, arguments)
    }

    #[test]
    fn the_socket_is_named_anywhere() {
        for line in [
            "--socket=/s status --json",
            "--socket /s status --json",
            "status --socket=/s --json",
            "status --json --socket /s",
        ] {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(take_socket(&mut words), Ok(Some("/s".into())), "{line}");
            assert_eq!(words, ["status", "--json"], "{line}");
        }
        for line in ["status --socket", "--socket= status"] {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert!(take_socket(&mut words).is_err(), "{line}");
        }
        assert_eq!(take_socket(&mut vec!["status".to_owned()]), Ok(None));
    }

    #[test]
    fn values_come_with_or_without_an_equals_sign() {
        let expected = Which {
            user: Some("ann".to_owned()),
            client: Some("192.0.2.1".parse().unwrap()),
            transport: Some(Transport::Tls),
            ..Which::default()
        };
        let asked = ask("sessions --user ann --client=192.0.2.1 --transport tls --json").unwrap();
        assert_eq!(asked.request, Request::Sessions(expected));
        assert!(asked.json && asked.watch.is_none());
        let asked = ask("sessions --watch=5").unwrap();
        assert_eq!(asked.watch, Some(Duration::from_secs(5)));
        let level = Some(Level::Debug);
        let asked = ask("log-level debug").unwrap();
        assert_eq!(asked.request, Request::LogLevel { level });
    }

    #[test]
    fn every_command_is_understood() {
        for command in COMMANDS {
            let line = if command == "kill" {
                "kill --id=1"
            } else {
                command
            };
            assert!(ask(line).is_ok(), "{command}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for wrong in [
            "kill",
            "kill ann",
            "sessions --user",
            "sessions --watch=0",
            "sessions --watch=31",
            "sessions --transport=pigeon",
            "sessions --client=nowhere",
            "status --user=ann",
            "status now",
            "log-level loud",
            "log-level info debug",
            "drain --watch",
        ] {
            assert!(ask(wrong).is_err(), "{wrong}");
        }
    }
}

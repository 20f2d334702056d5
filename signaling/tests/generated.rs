//! The texts that are made from the options: up to date, complete, usable.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is the report of a test"
)]

use std::ffi::OsString;
use std::io;
use std::path::Path;

use signaling::program::{Invocation, SIGNALING, generated_files, parse};
use turn_config::Environment;

fn content(name: &str) -> String {
    let files = generated_files();
    let mut found = files.into_iter().filter(|(file, _)| *file == name);
    found.next().unwrap().1
}

#[test]
fn files_in_config_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    for (name, content) in generated_files() {
        let stored = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            stored == content,
            "config/{name} is stale; make it anew: cargo run -p signaling --example generate"
        );
    }
}

#[test]
fn every_text_has_every_option() {
    let (sample, manual) = (content("signaling.conf.sample"), content("signaling.8"));
    let reference = content("signaling-options.md");
    for option in SIGNALING.options() {
        let long = option.long;
        let in_sample = sample.lines().filter(|line| {
            let shown = line.strip_prefix('#').unwrap_or_default();
            shown.split('=').next() == Some(long)
        });
        assert_eq!(
            in_sample.count(),
            usize::from(!option.command_line_only),
            "{long}"
        );
        let escaped = long.replace('-', "\\-");
        assert!(manual.contains(&format!("\\-\\-{escaped}")), "{long}");
        let rows = reference.lines().filter(|row| {
            row.starts_with(&format!("| `{long}`")) || row.starts_with(&format!("| `{long}="))
        });
        for row in rows.clone() {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 4, "{row}");
        }
        assert_eq!(rows.count(), 1, "{long}");
        for file in ["signaling.bash", "_signaling", "signaling.fish"] {
            let completion = content(&format!("completions/{file}"));
            assert!(completion.contains(long), "{file}: {long}");
        }
    }
}

#[test]
fn no_text_speaks_of_another_program() {
    for (name, content) in generated_files() {
        for word in ["coturn", "turnserver.conf", "TURNSERVER_", "TOML"] {
            assert!(!content.contains(word), "{name}: {word}");
        }
    }
    let manual = content("signaling.8");
    let known = [
        ".\\\"", ".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BI", ".BR", ".RB", ".nf", ".fi",
    ];
    for line in manual.lines().filter(|line| line.starts_with(['.', '\''])) {
        let request = line.split(' ').next().unwrap();
        assert!(known.contains(&request), "{line}");
    }
}

/// What can be wrong with each line of the sample, if it is taken as it stands.
fn problem_with(file: &str) -> Option<String> {
    let read = |path: &Path| match path.to_str() {
        Some("sample") => Ok(file.as_bytes().to_vec()),
        Some(secret) if secret.contains("jwt") => Ok(vec![b'x'; 64]),
        Some(_) => Ok(b"a line\n".to_vec()),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let environment = Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: None,
    };
    let args = ["-c", "sample"].map(OsString::from);
    match parse(args, &environment) {
        Ok(Invocation::Run(settings)) => {
            let odd = settings.warnings.iter().map(ToString::to_string);
            odd.into_iter()
                .find(|warning| warning.starts_with("sample:"))
        }
        Ok(_) => panic!("it is to be run"),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn the_sample_starts_as_it_is_and_with_what_is_uncommented() {
    let sample = content("signaling.conf.sample");
    assert_eq!(problem_with(&sample), None);
    // Options that depend on others, that exclude each other, or whose file must hold something else than a line.
    let alone = [
        "jwks-url",
        "jwt-",
        "auth-",
        "ice-endpoint",
        "call-log-postgres",
        "ca-file",
    ];
    let uncommented: String = sample
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' ') && !line.is_empty())
        .filter(|line| !alone.iter().any(|name| line.starts_with(name)))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(problem_with(&uncommented), None, "{uncommented}");
}

//! The generated texts: complete, usable, and up to date.

use std::path::Path;

use turn_config::option::Kind;
use turn_config::{Invocation, TURNSERVER};

use super::support::{parse, parse_with, settings};

#[test]
fn files_in_config_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../config");
    for (name, content) in turn_config::generated_files() {
        let stored = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            stored == content,
            "config/{name} is stale; make it anew: cargo run -p turn-config --example generate"
        );
    }
}

#[test]
fn the_sample_starts_nothing_by_itself_and_has_every_option_once() {
    let (_, sample) = &turn_config::generated_files()[0];
    for line in sample.lines() {
        assert!(
            line.is_empty() || line.starts_with('#'),
            "{line:?} is not commented out"
        );
        assert!(line.chars().count() <= 100, "{line:?} is long");
    }
    for option in TURNSERVER
        .options()
        .filter(|option| option.works() && !option.command_line_only)
    {
        let shown = sample.lines().filter(|line| {
            line.strip_prefix('#')
                .is_some_and(|line| line.split('=').next() == Some(option.long))
        });
        assert_eq!(shown.count(), 1, "{}", option.long);
    }
}

/// Those that exclude each other and the placeholders of secrets aside, it is a file that can be used.
#[test]
fn the_sample_uncommented_is_a_good_file() {
    let (_, sample) = &turn_config::generated_files()[0];
    let uncommented: String = sample
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with([' ', '#']) && !line.is_empty())
        .filter(|line| {
            !["no-udp", "no-stun", "stun-only", "no-udp-relay", "no-auth"].contains(line)
        })
        .map(|line| format!("{}\n", line.replace("replace-this", "replaced")))
        .collect();
    let outcome = parse_with(
        &["-c", "/s"],
        &[
            ("/s", &uncommented),
            ("/etc/turnpike/api-keys", "key"),
            (
                "/etc/turnpike/oauth-keys",
                "north:A128GCM:MTIzNDU2Nzg5MDEyMzQ1Ng==",
            ),
        ],
    );
    let settings = settings(outcome);
    assert!(
        !settings.listening.tcp && settings.metrics.is_some() && settings.http.listen.len() == 1
    );
}

#[test]
fn help_shows_every_working_option_and_names_all_others() {
    let Ok(Invocation::Help(text)) = parse(&["--help"]) else {
        panic!("no help")
    };
    for option in TURNSERVER.options() {
        if option.works() {
            assert!(
                text.contains(&format!("--{}", option.long))
                    && text.contains(option.help.split(' ').next().unwrap())
            );
            if let Some(short) = option.short {
                assert!(
                    text.contains(&format!("-{short}, --{}", option.long)),
                    "{}",
                    option.long
                );
            }
        } else {
            assert!(
                text.split_whitespace().any(|word| word == option.long),
                "{}",
                option.long
            );
        }
        if matches!(option.kind, Kind::Choice(_)) && option.works() {
            assert!(text.contains("One of"), "{}", option.long);
        }
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn the_reference_has_a_row_for_every_option() {
    let reference = TURNSERVER.option_reference();
    for option in TURNSERVER.options() {
        let row = reference.lines().find(|line| {
            line.starts_with(&format!("| `{}`", option.long))
                || line.starts_with(&format!("| `{}=", option.long))
        });
        let row = row.unwrap_or_else(|| panic!("no row for {}", option.long));
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
}

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
            ("/etc/turnpike/secrets", "secret"),
            ("/etc/turnpike/users", "carol:pw"),
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

#[test]
fn the_manual_has_every_working_option_and_names_all_others() {
    let manual = TURNSERVER.manual();
    for option in TURNSERVER.options() {
        let name = option.long.replace('-', "\\-");
        let tag = if option.works() {
            format!("\\-\\-{name}")
        } else {
            format!(".B {name}")
        };
        assert!(manual.contains(&tag), "{tag}");
    }
    // A macro that nobody meant would swallow a line.
    let known = [
        ".\\\"", ".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BI", ".BR", ".RB", ".I", ".nf", ".fi",
    ];
    for line in manual.lines().filter(|line| line.starts_with(['.', '\''])) {
        let request = line.split(' ').next().unwrap();
        assert!(known.contains(&request), "{line}");
    }
}

#[test]
fn completions_offer_every_working_option_and_no_other() {
    let of = |name: &str| {
        let files = turn_config::generated_files();
        files.into_iter().find(|(file, _)| *file == name).unwrap().1
    };
    let bash = of("completions/turnserver.bash");
    let zsh = of("completions/_turnserver");
    let fish = of("completions/turnserver.fish");
    for option in TURNSERVER.options() {
        let end = if option.kind == Kind::Flag { "" } else { "=" };
        let long = option.long;
        let in_bash = bash
            .lines()
            .any(|line| line == format!("    --{long}{end}"));
        let in_zsh = zsh.lines().any(|line| {
            [
                format!("--{long}="),
                format!("--{long}["),
                format!(",--{long}}}"),
            ]
            .iter()
            .any(|flag| line.contains(flag.as_str()))
        });
        let in_fish = fish
            .lines()
            .any(|line| line.starts_with(&format!("complete -c turnserver -l {long} ")));
        assert_eq!([in_bash, in_zsh, in_fish], [option.works(); 3], "{long}");
    }
}

/// Asks bash itself, as it does behind a tab.
#[test]
fn bash_completes_flags_choices_and_values_behind_an_equals_sign() {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../config/completions/turnserver.bash");
    let complete = |words: &str| {
        let script = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _turnserver; echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .output();
        let output = output.expect("bash is there");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("turnserver --listening-p"), "--listening-port=");
    assert_eq!(
        complete("turnserver --allocation-default-address-family = k"),
        "keep"
    );
    assert_eq!(complete("turnserver -A ''"), "ipv4 ipv6 keep");
    assert_eq!(complete("turnserver --cert = /etc/hostn"), "/etc/hostname");
}

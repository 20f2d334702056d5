//! Every option beside every other: both count, or a message says which does not, with its place and a remedy.

use turn_config::option::{Kind, OptionSpec};
use turn_config::{Error, TURNSERVER};

use super::support::{FILE, parse_with};

/// Files that examples name.
pub(super) const FILES: [(&str, &str); 4] = [
    ("/etc/turnpike/api-keys", "key"),
    ("/etc/turnpike/secrets", "secret"),
    ("/etc/turnpike/users", "dave:pw"),
    (
        "/etc/turnpike/oauth-keys",
        "north:A128GCM:MTIzNDU2Nzg5MDEyMzQ1Ng==",
    ),
];

/// A line that gives an option a good value.
pub(super) fn line(option: &OptionSpec) -> String {
    match option.kind {
        Kind::Flag => option.long.to_owned(),
        Kind::Secret => format!("{}=s3cret", option.long),
        Kind::Account => format!("{}=carol:pw", option.long),
        _ => format!("{}={}", option.long, option.example),
    }
}

/// What ends the start with both lines in a file.
pub(super) fn problems(one: &OptionSpec, other: &OptionSpec) -> Vec<String> {
    let content = format!("listening-ip=192.0.2.1\n{}\n{}\n", line(one), line(other));
    let files: Vec<_> = FILES
        .into_iter()
        .chain([(FILE, content.as_str())])
        .collect();
    let args = ["-c", FILE, "--static-auth-secret=base"];
    match parse_with(&args, &files) {
        Ok(_) => Vec::new(),
        Err(Error::Config { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        Err(Error::Usage(text)) => panic!("{content}: {text}"),
    }
}

/// Every two options.
pub(super) fn pairs() -> impl Iterator<Item = (&'static OptionSpec, &'static OptionSpec)> {
    let all = || {
        let options = TURNSERVER.options();
        options.filter(|option| option.works() && !option.command_line_only)
    };
    all()
        .enumerate()
        .flat_map(move |(place, one)| all().skip(place + 1).map(move |other| (one, other)))
}

#[test]
fn a_contradiction_names_its_place_the_option_and_a_remedy() {
    let mut found = Vec::new();
    for (one, other) in pairs() {
        let here = problems(one, other);
        // What ends a start does not depend on which line stands first.
        let there = problems(other, one).len();
        assert_eq!(here.len(), there, "{} with {}", one.long, other.long);
        for text in here {
            let pair = format!("{} with {}: {text}", one.long, other.long);
            let placed = ["/etc/turnserver.conf:2: ", "/etc/turnserver.conf:3: "]
                .iter()
                .any(|place| text.starts_with(place));
            assert!(placed, "{pair}");
            assert!(
                text.contains(one.long) || text.contains(other.long),
                "{pair}"
            );
            // What is wrong, and then what to do.
            assert!(
                text.ends_with('.') && text.matches(". ").count() >= 1,
                "{pair}"
            );
            assert!(!text.contains("s3cret"), "{pair}");
            found.push((one.long, other.long));
        }
    }
    for expected in [
        ("no-udp", "no-tcp"),
        ("no-stun", "stun-only"),
        ("no-udp-relay", "no-tcp-relay"),
        ("use-auth-secret", "no-auth"),
        ("static-auth-secret", "no-auth"),
        ("lt-cred-mech", "no-auth"),
        ("oauth", "no-auth"),
    ] {
        let swapped = (expected.1, expected.0);
        assert!(
            found.contains(&expected) || found.contains(&swapped),
            "{expected:?} in {found:?}"
        );
    }
}

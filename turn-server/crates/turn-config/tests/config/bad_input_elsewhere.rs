//! Every option × every way to get it wrong, on the command line, in the environment and in TOML: as `bad_input.rs` has it for
//! coturn's file. What is wrong is told with the flag, the variable or the line, and with a remedy.

use turn_config::option::{Kind, OptionSpec, Status};
use turn_config::{Error, Invocation, TURNSERVER};

use super::bad_input::{of_the_wrong_type, out_of_range};
use super::contradictions::{FILES, line, pairs, problems};
use super::support::{lines, parse_in, parse_with};

const TOML: &str = "/etc/turnserver.toml";

fn options() -> impl Iterator<Item = &'static OptionSpec> {
    TURNSERVER
        .options()
        .filter(|option| !option.command_line_only)
}

fn variable(option: &OptionSpec) -> String {
    match option.long {
        // The one name that differs from another by its capital alone.
        "Verbose" => "TURNSERVER_Verbose".to_owned(),
        long => format!("TURNSERVER_{}", long.replace('-', "_").to_uppercase()),
    }
}

/// What was said, a line each: what ended the start, or else the warnings.
fn said(outcome: Result<Invocation, Error>) -> Vec<String> {
    match outcome {
        Ok(Invocation::Run(settings)) => lines(&settings.warnings),
        Ok(_) => panic!("no run"),
        Err(Error::Config { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        Err(Error::Usage(text)) => vec![text],
    }
}

fn is_refused(outcome: &Result<Invocation, Error>) -> bool {
    outcome.is_err()
}

/// Fails unless the start is refused at `place`, with the option's name and a remedy; one without effect may say just that.
#[track_caller]
fn assert_refused(option: &OptionSpec, place: &str, outcome: Result<Invocation, Error>) {
    let refused = is_refused(&outcome);
    let said = said(outcome);
    let idle = matches!(option.status, Status::NoEffect(_) | Status::Removed(_));
    assert!(
        refused || idle,
        "{place}: {} was accepted: {said:?}",
        option.long
    );
    let about = said.iter().find(|text| {
        text.starts_with(place) && text.contains(option.long) && !text.contains("unknown")
    });
    let about = about.unwrap_or_else(|| panic!("{place}: nothing about {}: {said:?}", option.long));
    assert!(!refused || about.ends_with('.'), "no remedy in {about}");
}

/// All that no option takes.
fn wrong(option: &OptionSpec) -> Vec<String> {
    let texts = of_the_wrong_type(option).iter().map(ToString::to_string);
    texts.chain(out_of_range(option)).collect()
}

const BASE: [&str; 4] = [
    "-n",
    "--static-auth-secret=base",
    "-rr",
    "--allow-private-peers",
];

#[test]
fn a_wrong_value_on_the_command_line() {
    for option in options() {
        for text in wrong(option) {
            let flag = format!("--{}={text}", option.long);
            let args = [&BASE[..], &[&flag]].concat();
            let outcome = parse_with(&args, &[]);
            // What is no truth is a mistake in the call, and told as such.
            if let Err(Error::Usage(said)) = &outcome {
                assert!(said.contains(option.long), "{flag}: {said}");
                continue;
            }
            let place = format!("command line, --{}", option.long);
            assert_refused(option, &place, outcome);
        }
    }
}

#[test]
fn a_wrong_value_in_the_environment() {
    for option in options() {
        // A comma divides a list, and what is empty is refused as such (`variables.rs`).
        let texts = wrong(option).into_iter();
        for text in texts.filter(|text| !text.contains(',') && !text.is_empty()) {
            let variable = variable(option);
            let outcome = parse_in(&BASE, &[], &[(&variable, &text)]);
            let place = format!("environment, {variable}: ");
            assert_refused(option, &place, outcome);
        }
    }
}

/// A value of another type is `toml.rs`'s matter; here are those of the right one.
#[test]
fn a_wrong_value_in_toml() {
    for option in options() {
        let texts = match option.kind {
            Kind::Flag => continue,
            Kind::Number(_) | Kind::Port { .. } => out_of_range(option),
            _ => {
                let quoted = |text: &str| format!("\"{}\"", text.replace('\0', "\\u0000"));
                wrong(option).iter().map(|text| quoted(text)).collect()
            }
        };
        for text in texts {
            let content = format!("fingerprint = true\n\n{} = {text}\n", option.long);
            let args = ["-c", TOML, "--static-auth-secret=base"];
            let outcome = parse_with(&args, &[(TOML, &content)]);
            assert_refused(option, &format!("{TOML}:3: "), outcome);
        }
    }
}

/// In TOML no key stands twice, but an element of a list may.
#[test]
fn a_duplicate_in_a_list_of_toml() {
    for option in options().filter(|option| option.works() && option.list) {
        let line = line(option);
        let (_, value) = line.split_once('=').unwrap();
        let list = format!("[\"{value}\", \"{value}\"]");
        let content = format!("fingerprint = true\n\n{} = {list}\n", option.long);
        let args = ["-c", TOML, "--static-auth-secret=base"];
        let files: Vec<_> = FILES.iter().copied().chain([(TOML, &*content)]).collect();
        let outcome = parse_with(&args, &files);
        assert!(!is_refused(&outcome), "{line}");
        let said = said(outcome);
        let pointed_out = said.iter().any(|text| {
            text.starts_with(TOML) && text.contains(option.long) && text.contains("remove one")
        });
        assert!(pointed_out, "{line}: {said:?}");
    }
}

/// A flag twice with the same value, of a list too.
#[test]
fn a_duplicate_on_the_command_line() {
    for option in options().filter(|option| option.works()) {
        let flag = format!("--{}", line(option));
        let args = [&BASE[..], &[&flag, &flag]].concat();
        let files: Vec<_> = FILES.to_vec();
        let outcome = parse_with(&args, &files);
        if is_refused(&outcome) {
            // Once is wrong already: files that are not there, and what contradicts the secret.
            assert!(
                is_refused(&parse_with(&[&BASE[..], &[&flag]].concat(), &files)),
                "{flag}"
            );
            continue;
        }
        let said = said(outcome);
        let pointed_out = said
            .iter()
            .any(|text| text.contains(option.long) && text.contains("remove one"));
        assert!(pointed_out, "{flag}: {said:?}");
    }
}

/// Two options that contradict each other do so wherever they stand.
#[test]
fn a_contradiction_is_one_wherever_it_stands() {
    let contradicting: Vec<_> = pairs()
        .filter(|(one, other)| !problems(one, other).is_empty())
        .collect();
    assert!(contradicting.len() > 10, "{}", contradicting.len());
    for (one, other) in contradicting {
        let both = [one, other];
        let base = [
            "-n",
            "--listening-ip=192.0.2.1",
            "--static-auth-secret=base",
        ];
        let flags = both.map(|option| format!("--{}", line(option)));
        let args = [&base[..], &[&flags[0], &flags[1]]].concat();
        let places = both.map(|option| format!("command line, --{}", option.long));
        assert_names_a_place(&places, parse_with(&args, &FILES));

        let names = both.map(variable);
        let values = both.map(|option| {
            let line = line(option);
            line.split_once('=')
                .map_or("yes".to_owned(), |(_, value)| value.to_owned())
        });
        let variables = [
            (names[0].as_str(), values[0].as_str()),
            (names[1].as_str(), values[1].as_str()),
        ];
        let places = names.clone().map(|name| format!("environment, {name}: "));
        assert_names_a_place(&places, parse_in(&base, &FILES, &variables));
    }
}

#[track_caller]
fn assert_names_a_place(places: &[String; 2], outcome: Result<Invocation, Error>) {
    assert!(is_refused(&outcome), "{places:?} were accepted");
    let said = said(outcome);
    let placed = said.iter().any(|text| {
        places.iter().any(|place| text.starts_with(place.as_str())) && text.ends_with('.')
    });
    assert!(placed, "{places:?}: {said:?}");
}

//! Another program with a table of its own uses the same readers.

use std::ffi::OsString;

use turn_config::option::{Group, Kind, Notes, flag, number, option};
use turn_config::{Error, Registry, Values, Warning, read_command_line, read_file};

static PROGRAM: Registry = Registry {
    program: "kettle",
    about: "Boils water.",
    synopsis: "kettle [FLAGS]",
    groups: &[&Group {
        title: "Water",
        options: &[
            option("listen", Kind::Endpoint, "Where it listens.")
                .short('l')
                .list()
                .unset("nowhere")
                .example("127.0.0.1:1"),
            number("cups", 1, 9, "cups", "How much it boils.")
                .default("2")
                .example("4"),
            flag("whistle", "Whistle when it boils."),
            option("key", Kind::Secret, "Who may pour.").example("k"),
        ],
    }],
    lenient: false,
    notes: Notes {
        reference: "",
        manual: "",
        manual_end: "",
        changes: false,
    },
};

fn read(file: &str, args: &[&str]) -> Result<(Values, Vec<Warning>), Error> {
    let flags = read_command_line(&PROGRAM, args.iter().map(OsString::from))?;
    let raw = read_file(&PROGRAM, "kettle.conf", file.as_bytes()).then(flags);
    let (values, report) = Values::read(&PROGRAM, raw, &|_| None);
    Ok((values, report.finish()?))
}

#[test]
fn values_come_by_name_with_defaults_and_origins() {
    let (values, warnings) = read(
        "listen=127.0.0.1:1\ncups=3",
        &["--whis", "-l", "[::1]:2", "--key=s"],
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        values.endpoints("listen"),
        ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()]
    );
    assert_eq!(values.number("cups"), Some(3));
    assert!(values.flag("whistle"));
    assert_eq!(values.secret("key").unwrap().expose(), "s");
    assert_eq!(values.origin("cups").to_string(), "kettle.conf:2");
    assert_eq!(warnings, []);
    let (values, _) = read("", &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (
            values.number("cups"),
            values.flag("whistle"),
            values.is_given("cups")
        ),
        (Some(2), false, false)
    );
}

#[test]
fn errors_and_help_speak_of_that_program() {
    let text = |args: &[&str]| {
        read("", args)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(text(&["--min-port=1"]).starts_with("kettle: unknown flag --min-port"));
    assert_eq!(
        text(&["--cups=10"]),
        "command line, --cups: cups: 10 is above 9. Write a whole number (cups) from 1 to 9."
    );
    let help = PROGRAM.help_text();
    assert!(
        help.contains("Boils water.")
            && help.contains("-l, --listen=ADDRESS:PORT")
            && !help.contains("not built")
    );
}

#[test]
fn a_line_that_is_not_understood_stops_a_program_that_is_not_lenient() {
    for (line, said) in [
        ("cup=3", "unknown key \"cup\". Write cups, or"),
        ("--whistle", "unknown key \"--whistle\". Write whistle, or"),
        ("l=[::1]:2", "unknown key \"l\". Write listen, or"),
        ("saucer", "unknown key \"saucer\". Remove the line"),
    ] {
        let refused = read(&format!("cups=3\n{line}"), &[]).err();
        let text = refused.map_or(String::new(), |error| error.to_string());
        assert!(
            text.starts_with(&format!("kettle.conf:2: {said}")),
            "{text}"
        );
    }
}

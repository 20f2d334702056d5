//! Whatever is written, the answer is settings, problems or usage: never a panic.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use proptest::prelude::*;
use turn_config::{Environment, TURNSERVER};

fn parse(args: Vec<OsString>, file: &[u8]) {
    let read = |_: &Path| Ok(file.to_vec());
    let environment = Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: None,
    };
    match turn_config::parse(args, &environment) {
        Ok(
            turn_config::Invocation::Run(settings) | turn_config::Invocation::CheckConfig(settings),
        ) => {
            assert!(!settings.explain(&[]).is_empty());
        }
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A line that is likely to reach the readers of values.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<&'static str> = TURNSERVER.options().map(|option| option.long).collect();
    let value = prop_oneof![
        "[ -~]{0,20}",
        "[-+]?[0-9]{1,45}[a-z#; ]{0,3}",
        "[0-9a-f.:/-]{0,45}",
        "[a-z]{0,5}:(0x)?[0-9a-fé]{0,34}",
        "\\PC{0,12}",
    ];
    let separator = prop_oneof![Just("="), Just(" "), Just("\t="), Just("=\""), Just("")];
    (prop::sample::select(names), separator, value)
        .prop_map(|(name, separator, value)| format!("{name}{separator}{value}").into_bytes())
}

proptest! {
    #[test]
    fn arbitrary_bytes_as_a_file(file in prop::collection::vec(any::<u8>(), 0..600)) {
        parse(vec!["-c".into(), "/f".into()], &file);
    }

    #[test]
    fn lines_of_known_keys_and_odd_values(lines in prop::collection::vec(line(), 0..12)) {
        parse(vec!["-c".into(), "/f".into()], &lines.join(&b'\n'));
    }

    #[test]
    fn arbitrary_arguments(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 0..8)) {
        let args = args.into_iter().map(|word| OsString::from_vec(word.into_iter().filter(|byte| *byte != 0).collect()));
        parse(args.collect(), b"");
    }

    #[test]
    fn known_flags_with_odd_values(lines in prop::collection::vec(line(), 0..8), dashes in prop::sample::select(vec!["-", "--"])) {
        let args = lines.into_iter().map(|line| {
            let mut word = dashes.as_bytes().to_vec();
            word.extend(line);
            OsString::from_vec(word)
        });
        parse(args.collect(), b"no-auth");
    }
}

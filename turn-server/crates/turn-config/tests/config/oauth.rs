//! The keys of access tokens (RFC 7635), which stand in a file of their own.

use turn_config::settings::{OAuthAlgorithm, Settings};

use super::support::{assert_warns, parse_with, problems, settings};

const KEYS: &str = "/keys";
const NORTH: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const UNION: &str = "MTIzNDU2Nzg5MDEyMzQ1Ng==";

fn run(args: &[&str], keys: &str) -> Settings {
    let args: Vec<&str> = ["-n", "--oauth-keys-file=/keys"]
        .iter()
        .chain(args)
        .copied()
        .collect();
    settings(parse_with(&args, &[(KEYS, keys)]))
}

#[test]
fn keys_are_read_and_tokens_are_enough_to_start() {
    let keys = format!(
        "# the keys\n\nnorth:A256GCM:{NORTH}\n union : a128gcm : {UNION} : 1700000000 : 60 \nunion2:A128GCM:{UNION}:0:0\n"
    );
    let settings = run(&["--realm=example.org"], &keys);
    let oauth = settings.auth.oauth.unwrap();
    assert_eq!(oauth.server_name, "example.org");
    let keys: Vec<_> = (oauth.keys.iter())
        .map(|key| {
            (
                key.kid.as_str(),
                key.algorithm,
                key.key.expose().as_slice(),
                key.expires_at,
            )
        })
        .collect();
    let union = &b"1234567890123456"[..];
    assert_eq!(
        keys,
        [
            (
                "north",
                OAuthAlgorithm::A256Gcm,
                &b"01234567890123456789012345678901"[..],
                None
            ),
            ("union", OAuthAlgorithm::A128Gcm, union, Some(1_700_000_060)),
            ("union2", OAuthAlgorithm::A128Gcm, union, None),
        ]
    );
}

#[test]
fn keys_of_coturns_test_client_are_taken_with_their_line_feeds() {
    // `turnutils_uclient -J` has them: 33 and 17 bytes, of which coturn takes 32 and 16.
    let keys = "north:A256GCM:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK\nunion:A128GCM:MTIzNDU2Nzg5MDEyMzQ1Ngo=\n";
    let oauth = run(&[], keys).auth.oauth.unwrap();
    let lengths: Vec<_> = (oauth.keys.iter())
        .map(|key| key.key.expose().len())
        .collect();
    assert_eq!(lengths, [32, 16]);
}

#[test]
fn tokens_are_made_out_to_the_server_name_rather_than_the_realm() {
    let keys = format!("north:A256GCM:{NORTH}");
    let oauth = run(&["--server-name=turn.example.org"], &keys).auth.oauth;
    assert_eq!(oauth.unwrap().server_name, "turn.example.org");
}

#[test]
fn of_two_keys_with_one_name_the_last_counts() {
    let keys = format!("north:A256GCM:{NORTH}\nnorth:A128GCM:{UNION}");
    let oauth = run(&[], &keys).auth.oauth.unwrap();
    assert_eq!(oauth.keys.len(), 1);
    assert_eq!(oauth.keys[0].algorithm, OAuthAlgorithm::A128Gcm);
}

#[test]
fn tokens_are_off_when_oauth_is_turned_off() {
    let keys = format!("north:A256GCM:{NORTH}");
    let settings = run(&["--oauth=no", "--static-auth-secret=s"], &keys);
    assert!(settings.auth.oauth.is_none());
    assert_warns(&settings, &["oauth-keys-file is ignored", "turned off"]);
}

#[test]
fn wrong_lines_end_the_start_and_show_no_key() {
    for (line, what) in [
        ("north:A256GCM".to_owned(), "three fields"),
        (format!(":A256GCM:{NORTH}"), "no name"),
        (format!("north:A512GCM:{NORTH}"), "\"A512GCM\" is not known"),
        (format!("north:A256GCM:{UNION}"), "16 bytes and needs 32"),
        ("north:A256GCM:not base64".to_owned(), "not base64"),
        (format!("north:A256GCM:{NORTH}:x"), "no number"),
        (format!("north:A256GCM:{NORTH}:1:2:3"), "more than five"),
    ] {
        let content = format!("# keys\n{line}\n");
        let outcome = parse_with(&["-n", "--oauth-keys-file=/keys"], &[(KEYS, &content)]);
        let problems = problems(outcome);
        assert_eq!(problems.len(), 1, "{line}");
        let text = problems[0].to_string();
        assert!(
            text.contains("/keys:2:") && text.contains(what) && !text.contains(NORTH),
            "{text}"
        );
    }
}

#[test]
fn a_file_without_keys_or_none_at_all_ends_the_start() {
    for (files, what) in [
        (&[(KEYS, "# none\n")][..], "has no key"),
        (&[][..], "cannot be read"),
    ] {
        let problems = problems(parse_with(&["-n", "--oauth-keys-file=/keys"], files));
        assert!(problems[0].to_string().contains(what), "{problems:?}");
    }
}

#[test]
fn a_redirection_to_a_loopback_address_is_remarked_on() {
    let settings = settings(parse_with(
        &[
            "-n",
            "--static-auth-secret=s",
            "--alternate-server=127.0.0.1",
        ],
        &[],
    ));
    assert_warns(&settings, &["alternate-server", "loopback"]);
}

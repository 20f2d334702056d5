//! Secrets and accounts in files of their own.

use turn_config::settings::Settings;

use super::support::{assert_warns, names, parse_with, problems, settings};

fn with(content: &str, files: &[(&str, &str)]) -> Settings {
    let files: Vec<_> = [("/f", content)]
        .into_iter()
        .chain(files.iter().copied())
        .collect();
    settings(parse_with(&["-c/f", "-rr"], &files))
}

fn refused(args: &[&str], files: &[(&str, &str)]) -> String {
    let found = problems(parse_with(args, files));
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_string()
}

#[test]
fn each_line_of_a_secret_file_is_a_secret_beside_those_given_directly() {
    let settings = with(
        "static-auth-secret=direct\nstatic-auth-secret-file=/a\nstatic-auth-secret-file=/b\n",
        &[
            (
                "/a",
                "# rotated in May\n\n first \r\nsecond # to the letter\n",
            ),
            ("/b", "third"),
        ],
    );
    let secrets: Vec<String> = (settings.auth.secrets.iter())
        .map(|secret| String::from_utf8_lossy(secret.expose()).into_owned())
        .collect();
    assert_eq!(
        secrets,
        ["direct", "first", "second # to the letter", "third"]
    );
}

#[test]
fn each_line_of_a_user_file_is_an_account_and_one_given_directly_wins() {
    let key = "bob:0x00112233445566778899aabbccddeeff";
    let users = format!("alice:old\n{key}\n");
    let settings = with("user=alice:new\nstatic-users-file=/u\n", &[("/u", &users)]);
    assert_eq!(names(&settings), ["bob", "alice"]);
    assert_warns(
        &settings,
        &["/f:1", "\"alice\" replaces an account of the same name"],
    );
}

#[test]
fn a_file_that_gives_nothing_ends_the_start() {
    for option in ["static-auth-secret-file", "static-users-file"] {
        let flag = format!("--{option}=/file");
        let at = |content| refused(&["-n", &flag], &[("/file", content)]);
        let start = format!("command line, --{option}: {option}: /file");
        assert!(refused(&["-n", &flag], &[]).starts_with(&format!("{start} cannot be read")));
        for empty in ["", "\n# nothing\n"] {
            assert!(at(empty).starts_with(&format!("{start} is empty. Name a readable")));
        }
    }
    let text = refused(
        &["-n", "--static-auth-secret-file=/file"],
        &[("/file", "good\nreplace-this-please\n")],
    );
    assert!(
        text.contains("/file:2: this is the published placeholder"),
        "{text}"
    );
    let text = refused(&["-n", "--static-users-file=/file"], &[("/file", "s3cret")]);
    assert!(
        text.contains("/file:1: ") && !text.contains("s3cret"),
        "{text}"
    );
}

#[test]
fn a_file_of_secrets_contradicts_no_auth() {
    let text = refused(
        &["-n", "-z", "--static-auth-secret-file=/file"],
        &[("/file", "s")],
    );
    assert!(
        text.contains("no-auth contradicts static-auth-secret-file"),
        "{text}"
    );
}

//! Secrets that can be guessed, and doors that stand open.

use turn_server::check::advice;

use super::{Folder, SECRET, assert_says, good, settings};

#[test]
fn secrets_that_can_be_guessed() {
    for (secret, why) in [
        ("north", "short enough"),
        ("0123456789abcde", "short enough"),
        ("YOUR_SECRET_GOES_HERE", "a word of samples"),
        ("my-secret-for-turn-2024", "a word of samples"),
        ("abababababababababab", "hardly any different"),
    ] {
        let flag = format!("--static-auth-secret={secret}");
        assert_says(
            &[SECRET, &flag],
            &good(),
            &["command line, --static-auth-secret", why],
        );
    }
    for (account, why) in [
        ("username:password", "a word of samples"),
        ("alice:short", "short enough"),
        ("alicealice:alicealice", "it is the name"),
    ] {
        let name = account.split(':').next().unwrap();
        assert_says(
            &["-u", account],
            &good(),
            &["command line, -u: user", &format!("{name:?}"), why],
        );
    }
    assert_says(
        &[SECRET, "--stateless-nonce-secret=x"],
        &good(),
        &["stateless-nonce-secret"],
    );
    let http = [
        "--http-listen=127.0.0.1:8081",
        "--http-api-key=changeme-changeme",
    ];
    assert_says(
        &[SECRET, http[0], http[1]],
        &good(),
        &["http-api-key", "one of the keys"],
    );
    let said = advice(
        &settings(&["--static-auth-secret=north", "-ubob:pw"]),
        &good(),
    )
    .concat();
    assert!(!said.contains("north") && !said.contains("pw"), "{said}");
}

#[test]
fn a_secret_in_a_file_that_can_be_guessed() {
    let folder = Folder::new("secret");
    let file = folder.write("secrets", "2f0c9d1be4a7385f6c\nnorth\n");
    let flag = format!("--static-auth-secret-file={file}");
    assert_says(
        &[SECRET, &flag],
        &good(),
        &["static-auth-secret-file: it is short enough"],
    );
}

/// No mechanism at all ends the start, as `bad_configuration.rs` and `checks.rs` show; this is the one on purpose.
#[test]
fn a_relay_for_everybody() {
    assert_says(
        &["-z"],
        &good(),
        &["no-auth", "anybody who reaches this server"],
    );
}

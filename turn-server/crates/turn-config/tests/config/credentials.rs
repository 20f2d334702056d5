//! What systemd's `LoadCredential=` gives, and what root does before the start.

use turn_config::Invocation;

use super::support::{parse_in, parse_with, settings, usage};

const FOLDER: (&str, &str) = (
    "CREDENTIALS_DIRECTORY",
    "/run/credentials/turnserver.service",
);

#[test]
fn a_credential_gives_the_value_of_the_option_that_it_is_called_like() {
    let file = "static-auth-secret=direct\ncert=/etc/cert.pem\npkey=/etc/private/privkey.pem\nrealm=example.org\n";
    let credential = |name: &str| format!("{}/{name}", FOLDER.1);
    let names = ["static-auth-secret", "pkey", "somebody-elses"].map(credential);
    let files = [
        ("/f", file),
        (names[0].as_str(), "from systemd\n"),
        (names[1].as_str(), "a key"),
        (names[2].as_str(), "nothing of ours"),
    ];
    let given = settings(parse_in(&["-c/f"], &files, &[FOLDER]));
    let secrets = given
        .auth
        .secrets
        .iter()
        .map(|secret| secret.expose().clone());
    assert_eq!(
        secrets.collect::<Vec<_>>(),
        [b"direct".to_vec(), b"from systemd".to_vec()]
    );
    let tls = given.tls.as_ref().unwrap();
    assert_eq!(tls.key.to_str(), Some(names[1].as_str()));
    assert_eq!(tls.certificate.to_str(), Some("/etc/cert.pem"));
    assert_eq!(
        given.origin("pkey").to_string(),
        "environment, CREDENTIALS_DIRECTORY/pkey"
    );

    // Whoever writes a flag or a variable means it.
    let flagged = settings(parse_in(&["-c/f", "--pkey=/k.pem"], &files, &[FOLDER]));
    assert_eq!(flagged.tls.unwrap().key.to_str(), Some("/k.pem"));
    let variable = ("TURNSERVER_PKEY", "/v.pem");
    let varied = settings(parse_in(&["-c/f"], &files, &[FOLDER, variable]));
    assert_eq!(varied.tls.unwrap().key.to_str(), Some("/v.pem"));
    // And without the folder there is none.
    let plain = settings(parse_with(&["-c/f"], &files));
    assert_eq!(
        plain.tls.unwrap().key.to_str(),
        Some("/etc/private/privkey.pem")
    );
}

#[test]
fn a_credential_alone_is_a_mechanism() {
    let path = format!("{}/static-users", FOLDER.1);
    let given = settings(parse_in(
        &["-n"],
        &[(path.as_str(), "ann:secret")],
        &[FOLDER],
    ));
    assert_eq!(given.auth.users.len(), 1);
}

#[test]
fn what_root_prepares_is_what_the_configuration_names() {
    let file = [(
        "/f",
        "static-auth-secret=s\nlog-file=/var/log/turnserver.log\n",
    )];
    let Ok(Invocation::PrepareFor(user, settings)) =
        parse_with(&["-c/f", "--prepare-for=turnserver"], &file)
    else {
        panic!("it is no preparation");
    };
    assert_eq!(user, "turnserver");
    assert!(
        settings
            .effective
            .iter()
            .any(|it| it.value == "/var/log/turnserver.log")
    );
    usage(parse_with(&["--prepare-for"], &file));
}

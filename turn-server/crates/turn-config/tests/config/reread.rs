//! The configuration read again: what counts at once, what keeps its old value, and what is refused as a whole.

use turn_config::option::Change;
use turn_config::{Error, Reread, Settings, TURNSERVER};

use super::every_option_moves::{BASE, cases, picture};
use super::support::{FILE, parse_with, problems, reread_with, run, settings};

/// A server that runs on one file and reads another in its place.
fn from_to(old: &str, new: &str) -> (Settings, Result<Reread, Error>) {
    let running = settings(parse_with(&["-c", FILE], &[(FILE, old)]));
    let reread = reread_with(&["-c", FILE], &[(FILE, new)], &running);
    (running, reread)
}

#[test]
fn every_option_counts_at_once_or_keeps_its_value_as_its_declaration_says() {
    let files = ["--cert=/old-c.pem", "--pkey=/old-k.pem"];
    let of_metrics = [
        "--prometheus",
        "--prometheus-tls",
        "--prometheus-cert=/old-c.pem",
        "--prometheus-key=/old-k.pem",
    ];
    for (long, more, expected) in cases() {
        let spec = TURNSERVER.find(long).unwrap();
        // A server with TLS, where the case is about TLS.
        let tls = more.iter().any(|flag| flag.starts_with("--cert="));
        let metrics = more
            .iter()
            .any(|flag| flag.starts_with("--prometheus-cert="));
        let base: Vec<&str> = BASE
            .into_iter()
            .chain(files.into_iter().filter(|_| tls))
            .chain(of_metrics.into_iter().filter(|_| metrics))
            .collect();
        let running = run(&base);
        let args: Vec<&str> = base.iter().chain(*more).copied().collect();
        let Ok(reread) = reread_with(&args, &[], &running) else {
            panic!("{long}: refused");
        };
        let after = picture(&reread.settings);
        match spec.change {
            Change::Reload => {
                assert!(
                    reread.changed.contains(long),
                    "{long}: not named as changed"
                );
                assert!(
                    after.contains(expected),
                    "{long}: no {expected} in\n{after}"
                );
            }
            Change::Restart => {
                assert!(reread.restart.contains(long), "{long}: not named");
                assert!(!reread.changed.contains(long), "{long}: named as changed");
                assert!(!after.contains(expected), "{long}: {expected} in\n{after}");
                assert_eq!(reread.settings.origin(long), running.origin(long));
            }
        }
    }
}

#[test]
fn what_has_not_changed_is_not_named() {
    let file = "static-auth-secret=a\nuser=u:p\nlistening-port=3500\nrealm=r\n";
    // Written in another order, with a default spelt out: nothing is meant that was not meant before.
    let same =
        "realm=r\nlistening-port=3500\ndaemon=no\nuser-quota=0\nstatic-auth-secret=a\nuser=u:p\n";
    for new in [file, same] {
        let (_, reread) = from_to(file, new);
        let reread = reread.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((reread.changed, reread.restart), (vec![], vec![]), "{new}");
    }
}

#[test]
fn the_command_line_still_wins() {
    let args = ["-c", FILE, "--user-quota=7", "--listening-port=4000"];
    let running = settings(parse_with(&args, &[(FILE, "static-auth-secret=a\n")]));
    let new = "static-auth-secret=a\nuser-quota=1\nlistening-port=5000\n";
    let Ok(reread) = reread_with(&args, &[(FILE, new)], &running) else {
        panic!("refused");
    };
    assert_eq!((reread.changed, reread.restart), (vec![], vec![]));
    assert_eq!(reread.settings.quotas.per_user, Some(7));
    assert_eq!(reread.settings.listening.port, 4000);
}

#[test]
fn what_waits_for_a_restart_is_named_again_until_then_and_forgotten_when_it_is_changed_back() {
    let (running, reread) = from_to(
        "static-auth-secret=a\n",
        "static-auth-secret=b\nrelay-threads=3\n",
    );
    let reread = reread.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (reread.changed, reread.restart),
        (vec!["static-auth-secret"], vec!["relay-threads"])
    );
    let workers = [&reread.settings, &running].map(|settings| settings.process.workers);
    assert_eq!(workers, [None, None]);
    let again = |text| {
        let read = reread_with(&["-c", FILE], &[(FILE, text)], &reread.settings);
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        (read.changed, read.restart)
    };
    assert_eq!(
        again("static-auth-secret=b\nrelay-threads=3\n"),
        (vec![], vec!["relay-threads"])
    );
    assert_eq!(again("static-auth-secret=b\n"), (vec![], vec![]));
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_line() {
    let (_, reread) = from_to(
        "static-auth-secret=a\n",
        "static-auth-secret=a\nmin-port=seven\n",
    );
    let error = reread.err().unwrap().to_string();
    assert!(
        error.contains("/etc/turnserver.conf:2: min-port"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_gone_is_refused() {
    let args = ["-c", FILE, "--static-auth-secret=a"];
    let running = settings(parse_with(&args, &[(FILE, "user-quota=3\n")]));
    let error = reread_with(&args, &[], &running).err().unwrap().to_string();
    assert!(
        error.contains(FILE) && error.contains("not there any more"),
        "{error}"
    );
    // Where there never was one, there need not be one.
    let running = settings(parse_with(&args, &[]));
    assert!(reread_with(&args, &[], &running).is_ok());
}

#[test]
fn what_contradicts_an_option_that_needs_a_restart_is_refused_and_says_so() {
    let (_, reread) = from_to("no-auth\n", "static-auth-secret=a\n");
    let text =
        problems(reread.map(|reread| turn_config::Invocation::Run(reread.settings)))[0].to_string();
    assert!(
        text.contains("no-auth cannot change before a restart"),
        "{text}"
    );
}

#[test]
fn tls_begins_and_ends_with_a_reload_where_listeners_do() {
    let (without, with) = (
        "static-auth-secret=a\n",
        "static-auth-secret=a\ncert=/c\npkey=/k\n",
    );
    for (old, new, is_on) in [(without, with, false), (with, without, true)] {
        let (_, reread) = from_to(old, new);
        let reread = reread.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reread.settings.tls.is_some(), !is_on);
        assert_eq!(
            (reread.changed, reread.restart),
            (vec!["cert", "pkey"], vec![])
        );
        // Listeners that somebody else has bound are those that there will be.
        let mut running = settings(parse_with(&["-c", FILE], &[(FILE, old)]));
        running.waiting.push("listening-ip");
        let elsewhere = format!("{new}listening-ip=127.0.0.1\n");
        let reread = reread_with(&["-c", FILE], &[(FILE, &*elsewhere)], &running);
        let reread = reread.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reread.settings.tls.is_some(), is_on);
        assert!(reread.settings.listening.addresses.is_empty());
        assert_eq!(
            (reread.changed, reread.restart),
            (vec![], vec!["listening-ip", "cert", "pkey"])
        );
        assert_eq!(reread.settings.waiting, running.waiting);
    }
}

#[test]
fn keys_in_a_file_that_an_option_names_are_read_again() {
    let conf = "static-auth-secret=a\nhttp-listen=127.0.0.1:1\nhttp-api-key-file=/keys\noauth-keys-file=/oauth\n";
    let (old, new) = (
        "north:A128GCM:MTIzNDU2Nzg5MDEyMzQ1Ng==",
        "north:A128GCM:MTIzNDU2Nzg5MDEyMzQ1Nw==",
    );
    let running = settings(parse_with(
        &["-c", FILE],
        &[(FILE, conf), ("/keys", "one\n"), ("/oauth", old)],
    ));
    let read = |keys, oauth| {
        let files = [(FILE, conf), ("/keys", keys), ("/oauth", oauth)];
        let read = reread_with(&["-c", FILE], &files, &running);
        read.unwrap_or_else(|error| panic!("{error}")).changed
    };
    assert_eq!(read("one\n", old), [""; 0]);
    assert_eq!(read("two\n", old), ["http-api-key-file"]);
    assert_eq!(read("one\n", new), ["oauth-keys-file"]);
}

#[test]
fn secrets_and_accounts_in_files_are_read_again() {
    let conf = "static-auth-secret-file=/secrets\nstatic-users-file=/users\n";
    let files = |secrets, users| [(FILE, conf), ("/secrets", secrets), ("/users", users)];
    let args = ["-c", FILE];
    let running = settings(parse_with(&args, &files("one", "a:pw")));
    let read = |secrets, users| {
        let read = reread_with(&args, &files(secrets, users), &running);
        read.unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(read("one\n", "a:pw").changed, [""; 0]);
    let rotated = read("one\ntwo", "a:pw");
    assert_eq!(rotated.changed, ["static-auth-secret-file"]);
    assert_eq!(rotated.settings.auth.secrets.len(), 2);
    assert_eq!(read("one", "b:pw").changed, ["static-users-file"]);
}

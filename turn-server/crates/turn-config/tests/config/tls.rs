//! Certificates: where they are found, and what goes together.

use turn_config::Invocation;

/// Reads these files and no other.
fn run_with_files<'f>(
    args: &[&str],
    files: &'f [&'f str],
) -> Result<Invocation, turn_config::Error> {
    let read = |path: &std::path::Path| {
        if files.iter().any(|file| path == std::path::Path::new(file)) {
            Ok(Vec::new())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    };
    let environment = turn_config::Environment {
        resolve: &|_| None,
        read: &read,
        variables: Vec::new(),
        program_folder: None,
    };
    turn_config::parse(args.iter().map(std::ffi::OsString::from), &environment)
}

#[test]
fn a_certificate_is_found_where_coturn_would_find_it() {
    let files = [
        "/etc/coturn/turn.pem",
        "/etc/turnserver/turn_server_pkey.pem",
    ];
    let args = ["-n", "--static-auth-secret=s", "--cert=turn.pem"];
    let Ok(Invocation::Run(settings)) = run_with_files(&args, &files) else {
        panic!("refused")
    };
    let tls = settings.tls.unwrap();
    assert_eq!(
        [tls.certificate, tls.key].map(|path| path.display().to_string()),
        files
    );
}

#[test]
fn a_certificate_without_a_key_ends_the_start_and_files_that_lie_there_by_chance_do_not() {
    let base = ["-n", "--static-auth-secret=s"];
    let Err(error) = run_with_files(&[base[0], base[1], "--cert=/c.pem"], &[]) else {
        panic!("accepted")
    };
    assert!(error.to_string().contains("Add pkey=FILE"), "{error}");
    let Ok(Invocation::Run(settings)) = run_with_files(&base, &["./turn_server_cert.pem"]) else {
        panic!("refused")
    };
    assert_eq!(settings.tls, None);
}

#[test]
fn dtls_is_served_with_the_certificate_of_tls_and_without_tls_too() {
    let base = ["-n", "--static-auth-secret=s", "--dtls"];
    let with = |more: &[&str]| run_with_files(&[&base[..], more].concat(), &[]);
    let files = ["--cert=/c.pem", "--pkey=/k.pem"];
    let Ok(Invocation::Run(settings)) = with(&files) else {
        panic!("refused")
    };
    assert!(settings.tls.is_some());
    assert_eq!(settings.dtls, settings.tls);
    let alone = [&files[..], &["--no-tls", "--no-udp", "--no-tcp"]].concat();
    let Ok(Invocation::Run(settings)) = with(&alone) else {
        panic!("refused")
    };
    assert_eq!(settings.tls, None);
    assert!(settings.dtls.is_some());
}

#[test]
fn dtls_that_cannot_be_served_ends_the_start() {
    let base = ["-n", "--static-auth-secret=s", "--dtls"];
    let refusal = |more: &[&str]| match run_with_files(&[&base[..], more].concat(), &[]) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("accepted"),
    };
    assert!(refusal(&[]).contains("Add cert=FILE and pkey=FILE, or remove dtls."));
    let without_version = refusal(&["--cert=/c.pem", "--pkey=/k.pem", "--no-tlsv1_2"]);
    assert!(without_version.contains("dtls serves DTLS 1.2"));
    // It was needed for long to turn off what was on by itself.
    let args = ["-n", "--static-auth-secret=s", "--no-dtls"];
    let Ok(Invocation::Run(settings)) = run_with_files(&args, &[]) else {
        panic!("refused")
    };
    assert_eq!(settings.dtls, None);
    let says = |warning: &turn_config::Warning| warning.to_string().contains("dtls");
    assert!(!settings.warnings.iter().any(says));
}

#[test]
fn no_dtls_denied_is_no_dtls_yet_and_says_so() {
    let args = [
        "-n",
        "--static-auth-secret=s",
        "--no-dtls=no",
        "--cert=/c.pem",
        "--pkey=/k.pem",
    ];
    let Ok(Invocation::Run(settings)) = run_with_files(&args, &[]) else {
        panic!("refused")
    };
    assert_eq!(settings.dtls, None);
    super::support::assert_warns(&settings, &["DTLS is off: what turns it on is dtls"]);
}

#[test]
fn no_dtls_counts_more_than_dtls_and_says_so() {
    let args = "-n --static-auth-secret=s --dtls --no-dtls --cert=/c.pem --pkey=/k.pem";
    let args: Vec<&str> = args.split(' ').collect();
    let Ok(Invocation::Run(settings)) = run_with_files(&args, &[]) else {
        panic!("refused")
    };
    assert_eq!(settings.dtls, None);
    let says = |warning: &turn_config::Warning| warning.to_string().contains("DTLS is off");
    assert!(settings.warnings.iter().any(says));
}

#[test]
fn tls_alone_is_a_way_to_reach_the_server() {
    let args = ["-n", "--static-auth-secret=s", "--no-udp", "--no-tcp"];
    let Err(error) = run_with_files(&args, &[]) else {
        panic!("accepted")
    };
    assert!(
        error.to_string().contains("no way to reach the server"),
        "{error}"
    );
    let with_tls = [&args[..], &["--cert=/c.pem", "--pkey=/k.pem"]].concat();
    assert!(matches!(
        run_with_files(&with_tls, &[]),
        Ok(Invocation::Run(_))
    ));
}

/// Metrics over TLS need a certificate, of their own or that of clients; of one half alone nobody is served in the clear.
#[test]
fn metrics_over_tls_need_certificate_and_key() {
    let base = ["-n", "-z", "--prometheus", "--prometheus-tls"];
    for (more, says) in [
        (
            &[][..],
            "prometheus-tls is given, and there is no certificate",
        ),
        (
            &["--prometheus-cert=/m.pem"],
            "prometheus-cert is given and prometheus-key is not",
        ),
        (
            &["--prometheus-key=/n.pem", "--cert=/c.pem", "--pkey=/k.pem"],
            "prometheus-key is given and prometheus-cert is not",
        ),
    ] {
        let Err(error) = run_with_files(&[&base[..], more].concat(), &[]) else {
            panic!("{more:?} was accepted")
        };
        assert!(error.to_string().contains(says), "{error}");
    }
    // Clients need not be served over TLS for that.
    let flags = ["--no-tls", "--cert=/c.pem", "--pkey=/k.pem"];
    let Ok(Invocation::Run(settings)) = run_with_files(&[&base[..], &flags].concat(), &[]) else {
        panic!("refused")
    };
    assert_eq!(settings.tls, None);
    let metrics = settings.metrics.and_then(|metrics| metrics.tls).unwrap();
    assert_eq!(metrics.certificate, std::path::Path::new("/c.pem"));
}

/// As in coturn 4.17.
#[test]
fn metrics_over_tls_are_metrics() {
    let flags = [
        "-n",
        "-z",
        "--prometheus-tls",
        "--prometheus-cert=/m.pem",
        "--prometheus-key=/n.pem",
    ];
    let Ok(Invocation::Run(settings)) = run_with_files(&flags, &[]) else {
        panic!("refused")
    };
    assert!(
        settings
            .metrics
            .is_some_and(|metrics| metrics.tls.is_some())
    );
}

#[test]
fn what_is_for_metrics_over_tls_has_no_effect_without() {
    for (flags, needed) in [
        (&["--prometheus-tls", "--prometheus=no"][..], "prometheus"),
        (&["--prometheus", "--prometheus-cert=/m"], "prometheus-tls"),
    ] {
        let flags = [&["-n", "-z"][..], flags].concat();
        let Ok(Invocation::Run(settings)) = run_with_files(&flags, &[]) else {
            panic!("refused")
        };
        super::support::assert_warns(&settings, &[&format!("has no effect without {needed}")]);
    }
}

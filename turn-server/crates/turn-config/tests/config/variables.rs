//! Options from the environment.

use turn_config::option::Kind;
use turn_config::settings::{Settings, Verbosity};
use turn_config::{Error, Invocation, TURNSERVER};

use super::support::{assert_warns, parse_in, problems, settings};

/// A run with these variables and no arguments but credentials.
fn with(variables: &[(&str, &str)]) -> Settings {
    settings(parse_in(
        &["-n", "-ua:b", "-rr", "--allow-private-peers"],
        &[],
        variables,
    ))
}

fn refused(variables: &[(&str, &str)]) -> String {
    problems(parse_in(&["-n", "-ua:b"], &[], variables))[0].to_string()
}

#[test]
fn a_variable_is_the_name_in_capitals() {
    let settings = with(&[
        ("TURNSERVER_LISTENING_PORT", "3500"),
        ("TURNSERVER_NO_TLSV1_2", "yes"),
        ("TURNSERVER_FINGERPRINT", "true"),
        ("TURNSERVER_Verbose", "1"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(settings.listening.port, 3500);
    assert!(settings.wire.fingerprint);
    assert_eq!(settings.logging.verbosity, Verbosity::Everything);
    assert_eq!(settings.warnings, []);
    assert_eq!(
        settings.origin("listening-port").to_string(),
        "environment, TURNSERVER_LISTENING_PORT"
    );
}

#[test]
fn of_file_variable_and_flag_the_later_counts_and_lists_grow() {
    let files = [(
        "/f",
        "listening-port=1\nmin-port=50001\nmax-port=50002\nrelay-ip=192.0.2.1\n",
    )];
    let variables = [
        ("TURNSERVER_LISTENING_PORT", "2"),
        ("TURNSERVER_MIN_PORT", "50000"),
        ("TURNSERVER_RELAY_IP", "192.0.2.2"),
    ];
    let args = ["-c/f", "-z", "-p3", "-E192.0.2.3", "--allow-private-peers"];
    let settings = settings(parse_in(&args, &files, &variables));
    assert_eq!(settings.listening.port, 3);
    assert_eq!(
        (settings.relay.min_port, settings.relay.max_port),
        (50_000, 50_002)
    );
    let addresses: Vec<String> = settings
        .relay
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(settings.warnings, []);
}

#[test]
fn a_list_is_split_at_commas_and_where_commas_are_possible_at_line_ends() {
    let settings = with(&[
        ("TURNSERVER_DENIED_PEER_IP", "10.0.0.0/8, 192.168.0.0/16,"),
        ("TURNSERVER_STATIC_AUTH_SECRET", "a,b # c\r\nd\n"),
        ("TURNSERVER_USER", "alice:p,w\nbob:pw"),
    ]);
    assert_eq!(settings.relay.peers.denied.len(), 2);
    let secrets: Vec<_> = settings
        .auth
        .secrets
        .iter()
        .map(|it| it.expose().as_slice())
        .collect();
    assert_eq!(secrets, [&b"a,b # c"[..], b"d"]);
    assert_eq!(settings.auth.users.len(), 3);
}

#[test]
fn a_variable_names_the_file_and_nothing_else_of_the_command_line() {
    let files = [("/f", "no-auth\nlistening-port=7\n")];
    let named = settings(parse_in(&[], &files, &[("TURNSERVER_CONFIG_FILE", "/f")]));
    assert_eq!(named.listening.port, 7);
    let flag_wins = parse_in(&["-c/f"], &files, &[("TURNSERVER_CONFIG_FILE", "/nowhere")]);
    assert_eq!(settings(flag_wins).listening.port, 7);
    let absent = settings(parse_in(
        &["-z"],
        &[],
        &[("TURNSERVER_CONFIG_FILE", "/nowhere")],
    ));
    assert_warns(
        &absent,
        &["environment, TURNSERVER_CONFIG_FILE: there is no configuration file /nowhere"],
    );
    for asking in ["HELP", "VERSION", "QUICKSTART", "CHECK_CONFIG"] {
        let variable = format!("TURNSERVER_{asking}");
        assert_warns(
            &with(&[(&variable, "yes")]),
            &[&variable, "no option has this name"],
        );
    }
}

/// A container that is configured by variables alone is no quickstart, whose pages would be open then.
#[test]
fn variables_alone_are_a_configuration() {
    let run = parse_in(&[], &[], &[("TURNSERVER_STATIC_AUTH_SECRET", "s")]);
    assert!(matches!(run, Ok(Invocation::Run(_))));
    let open = parse_in(&[], &[], &[("TURNSERVER_REALM", "r")]);
    assert!(matches!(open, Err(Error::Config { .. })));
    let foreign = parse_in(&[], &[], &[("TURNSERVER_ENABLED", "1")]);
    assert!(matches!(foreign, Ok(Invocation::Quickstart(_))));
    let asked = parse_in(
        &["--quickstart"],
        &[],
        &[("TURNSERVER_LISTENING_PORT", "77")],
    );
    let Ok(Invocation::Quickstart(settings)) = asked else {
        panic!("no quickstart")
    };
    assert_eq!(settings.listening.port, 77);
}

#[test]
fn a_name_that_is_no_option_is_pointed_out_and_those_of_others_are_not() {
    let settings = with(&[
        ("TURNSERVER_LISTENIG_PORT", "1"),
        ("TURNSERVER_FROBNICATE", "1"),
        // Debian's start script, and Kubernetes for a service called turnserver.
        ("TURNSERVER_ENABLED", "1"),
        ("TURNSERVER_PORT", "udp://10.0.0.11:3478"),
        ("TURNSERVER_PORT_3478_UDP_ADDR", "10.0.0.11"),
        ("TURNSERVER_SERVICE_HOST", "10.0.0.11"),
    ]);
    assert_warns(
        &settings,
        &[
            "TURNSERVER_LISTENIG_PORT",
            "did you mean TURNSERVER_LISTENING_PORT?",
        ],
    );
    assert_warns(&settings, &["TURNSERVER_FROBNICATE", "it is ignored"]);
    assert_eq!(settings.warnings.len(), 2);
}

/// Each option × empty: compose files hand over what nobody has set.
#[test]
fn an_empty_variable_is_refused() {
    for option in TURNSERVER
        .options()
        .filter(|option| option.works() && !option.command_line_only)
    {
        if option.long == "Verbose" || option.may_be_empty {
            continue;
        }
        let variable = format!(
            "TURNSERVER_{}",
            option.long.replace('-', "_").to_uppercase()
        );
        let text = refused(&[(&variable, "")]);
        let expected = format!(
            "environment, {variable}: {}: the variable is empty. ",
            option.long
        );
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[test]
fn a_bad_value_names_its_variable_and_the_remedy() {
    for option in TURNSERVER
        .options()
        .filter(|option| option.works() && !option.command_line_only)
    {
        let wrong = match option.kind {
            Kind::Number(_) | Kind::Port { .. } | Kind::Duration => "-7",
            Kind::Flag => "maybe",
            Kind::Path | Kind::Text | Kind::Secret => "a\0b",
            _ => "a/b:c?",
        };
        if option.long == "Verbose" || matches!(option.kind, Kind::Account | Kind::Character) {
            continue;
        }
        let variable = format!(
            "TURNSERVER_{}",
            option.long.replace('-', "_").to_uppercase()
        );
        let text = refused(&[(&variable, wrong)]);
        assert!(
            text.starts_with(&format!("environment, {variable}: {}: ", option.long))
                && text.ends_with('.'),
            "{text}"
        );
    }
}

//! A port that two listeners of this server would want.

use super::support::{FILE, file_problems, run_file};

/// Otherwise the second listener fails, and the message blames another program.
#[test]
fn a_port_that_two_listeners_of_this_server_want() {
    let two = |lines: &str| {
        let said = file_problems(&format!("no-auth\n{lines}\n"));
        said.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for (lines, place, names) in [
        (
            "prometheus\nprometheus-port=3478",
            3,
            "prometheus-port and listening-port",
        ),
        (
            "prometheus\nlistening-port=9641",
            3,
            "prometheus-port and listening-port",
        ),
        (
            "http-listen=127.0.0.1:3478",
            2,
            "http-listen and listening-port",
        ),
        (
            "http-listen=0.0.0.0:9641\nprometheus",
            2,
            "http-listen and prometheus-port",
        ),
        (
            "tcp-proxy-port=8081\nhttp-listen=[::]:8081",
            3,
            "http-listen and tcp-proxy-port",
        ),
    ] {
        let said = two(lines);
        let head = format!("{FILE}:{place}: {names} are the same port for TCP, ");
        assert!(said.len() == 1 && said[0].starts_with(&head), "{said:?}");
    }
    for lines in [
        "no-tcp\nprometheus\nprometheus-port=3478",
        "prometheus\nprometheus-port=0\nlistening-port=0",
        "listening-ip=192.0.2.1\nhttp-listen=127.0.0.1:3478",
        "listening-ip=192.0.2.1\nhttp-listen=[::]:3478",
        "tcp-proxy-port=8081\nhttp-listen=127.0.0.1:3478",
        "http-listen=127.0.0.1:9641\nprometheus\nprometheus-address=192.0.2.1",
    ] {
        let settings = run_file(&format!("no-auth\n{lines}\n"));
        assert!(settings.auth.anonymous, "{lines}");
    }
}

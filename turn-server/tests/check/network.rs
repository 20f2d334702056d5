//! What clients can reach: ports, addresses, buffers, relay ports.

use turn_server::check::{Machine, advice};

use super::{SECRET, assert_says, assert_silent, good, natted, settings};

/// WebRTC's `AllowedTurnPort`.
#[test]
fn a_port_that_chrome_refuses() {
    let parts = |option| [option, "Chrome uses no TURN server on port 444"];
    assert_says(
        &[SECRET, "-p444"],
        &good(),
        &parts("command line, -p: listening-port"),
    );
    assert_says(
        &[SECRET, "--tcp-proxy-port=444"],
        &good(),
        &parts("tcp-proxy-port"),
    );
    assert_says(
        &[SECRET, "--aux-server=192.0.2.1:444"],
        &good(),
        &parts("aux-server"),
    );
    for allowed in ["-p53", "-p80", "-p443", "-p1024", "-p0"] {
        assert_silent(&[SECRET, allowed], &good());
    }
}

/// The Fetch standard's bad ports.
#[test]
fn a_port_on_which_no_browser_speaks_http() {
    let flags = |port| {
        [
            SECRET.to_owned(),
            "--http-api-key=2f0c9d1be4a7385f6c".to_owned(),
            "--http-listen=127.0.0.1:8081".to_owned(),
            format!("--http-listen=127.0.0.1:{port}"),
        ]
    };
    let bad = flags(6000);
    assert_says(
        &bad.each_ref().map(String::as_str),
        &good(),
        &["command line, --http-listen: http-listen", "port 6000"],
    );
    assert_silent(&flags(8080).each_ref().map(String::as_str), &good());
}

#[test]
fn lists_of_clients_for_listeners_that_there_will_not_be() {
    assert_says(
        &[SECRET, "--denied-client-ip=10.0.0.1@444"],
        &good(),
        &[
            "command line, --denied-client-ip: denied-client-ip=10.0.0.1@444 is for a listener that there is not",
            "there are 127.0.0.1:3478",
        ],
    );
    assert_silent(&[SECRET, "--denied-client-ip=10.0.0.1@3478"], &good());
}

#[test]
fn an_external_address_that_is_missing_behind_a_nat() {
    assert_says(
        &[SECRET],
        &natted(),
        &[
            "external-ip is not set",
            "clients are told 10.0.0.5",
            "external-ip=PUBLIC/10.0.0.5",
        ],
    );
    assert_says(
        &[SECRET, "-E10.0.0.7"],
        &good(),
        &["command line, -E", "clients are told 10.0.0.7"],
    );
    assert_says(
        &[SECRET, "-L100.64.1.2"],
        &good(),
        &["clients are told 100.64.1.2"],
    );
    assert_silent(&[SECRET, "-X203.0.113.5"], &natted());
    assert_silent(&["--stun-only"], &natted());
}

/// Behind a cloud's NAT, its users write the public address everywhere.
#[test]
fn an_address_that_this_machine_does_not_have() {
    let flags = [
        "-L",
        "198.51.100.9",
        "-L",
        "203.0.113.5",
        "-E",
        "203.0.113.6",
    ];
    let flags = [&[SECRET], &flags[..]].concat();
    for (place, ip) in [
        ("command line, -L: listening-ip: ", "203.0.113.5"),
        ("command line, -E: relay-ip: ", "203.0.113.6"),
    ] {
        let text = format!("{place}this machine has no address {ip}");
        assert_says(&flags, &good(), &[&text, "external-ip=PUBLIC/PRIVATE"]);
    }
    assert_silent(&[SECRET, "-L0.0.0.0", "-E198.51.100.9"], &good());
    let loopback = advice(&settings(&[SECRET, "-L127.0.0.2"]), &good()).concat();
    assert!(!loopback.contains("has no address"), "{loopback}");
}

#[test]
fn an_external_address_that_is_none() {
    for (address, kind) in [
        ("10.1.1.1", "a private address (RFC 1918)"),
        ("127.0.0.1", "a loopback address"),
        ("100.127.255.255", "a carrier's shared address"),
        ("fd00::1", "a private address (RFC 4193)"),
    ] {
        let flag = format!("-X{address}");
        assert_says(
            &[SECRET, &flag],
            &good(),
            &["command line, -X: external-ip", address, kind],
        );
    }
}

#[test]
fn a_receive_buffer_that_the_kernel_does_not_give() {
    let small = Machine {
        largest_receive_buffer: Some(212_992),
        ..good()
    };
    assert_says(
        &[SECRET],
        &small,
        &["sock-buf-size", "212992", "net.core.rmem_max=2097152"],
    );
    assert_silent(&[SECRET, "--sock-buf-size=212992"], &small);
    assert_silent(
        &[SECRET],
        &Machine {
            largest_receive_buffer: None,
            ..good()
        },
    );
}

#[test]
fn a_port_range_above_the_limit_of_descriptors() {
    let few = Machine {
        descriptors: 4096,
        ..good()
    };
    assert_says(
        &[SECRET],
        &few,
        &["16384 relay ports", "4096 files", "LimitNOFILE=16448"],
    );
    let range = ["--min-port=50000", "--max-port=54031"];
    assert_silent(&[SECRET, range[0], range[1]], &few);
    assert_says(
        &[SECRET, range[0], "--max-port=54032"],
        &few,
        &[
            "command line, --min-port: min-port=50000",
            "4033 relay ports",
        ],
    );
    assert_silent(&[SECRET, "--multiplex-peer"], &few);
}

#[test]
fn a_big_range_of_ports_that_docker_would_publish() {
    let docker = Machine {
        addresses: ["127.0.0.1", "172.17.0.2"]
            .map(|ip| ip.parse().unwrap())
            .to_vec(),
        container: true,
        ..good()
    };
    let external = "-X203.0.113.5";
    assert_says(
        &[SECRET, external],
        &docker,
        &["publishing 16384 ports", "--network host", "multiplex-peer"],
    );
    assert_silent(&[SECRET, external, "--multiplex-peer"], &docker);
    assert_silent(
        &[SECRET, external, "--min-port=50000", "--max-port=50100"],
        &docker,
    );
    // On the network of its host, nothing is published.
    assert_silent(
        &[SECRET],
        &Machine {
            container: true,
            ..good()
        },
    );
}

//! The public address, found by asking and followed when it changes: a NAT in front with a STUN server outside (coturn), an
//! interface, and the metadata of clouds. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use e2e::nat::Internet;
use e2e::netns::Namespace;
use e2e::process::{Process, tests_folder, until};
use e2e::server::Server;
use e2e::turn_client::{Answer, TurnClient};

/// A deadline for what takes a moment when the machine is idle.
const GENEROUS: Duration = Duration::from_secs(60);

const USER: [&str; 2] = ["--lt-cred-mech", "--user=ann:secret"];

/// A client of that namespace with an allocation, and the relayed address that it was told.
fn allocated(space: &Namespace, at: IpAddr) -> (TurnClient, IpAddr) {
    let at = SocketAddr::new(at, 3478);
    let mut client = space
        .inside(|| TurnClient::new(at, "ann", "secret"))
        .unwrap();
    match client.allocate(None).unwrap() {
        Answer::Success {
            relayed: Some(relayed),
            ..
        } => (client, relayed.ip()),
        answer => panic!("{answer:?}"),
    }
}

fn told(space: &Namespace, at: IpAddr) -> IpAddr {
    allocated(space, at).1
}

/// The STUN server is late, the public address changes under a call, and the call goes on: it is between two clients of this
/// server, who know each other by the old address.
#[test]
fn behind_a_nat_a_stun_server_tells_the_address_and_its_change() {
    let internet = Internet::new().unwrap();
    let mut cloud = internet.mapped_server().unwrap();
    let outside = internet.host("stun").unwrap();
    let client = internet.host("client").unwrap();
    let source = format!("--external-ip-from=stun:{}", outside.address);
    let mut flags = vec![source.as_str(), "--external-ip-check=1"];
    flags.extend(USER);
    let mut server = Server::start(Some(&cloud.space), &flags).unwrap();
    server
        .wait_for_output("the public address is not found")
        .unwrap();
    assert_eq!(told(&client.space, cloud.public.into()), cloud.private);

    let address = format!("--listening-ip={}", outside.address);
    let _stun = Server::coturn(
        Some(&outside.space),
        &[&address, "--stun-only", "--no-auth"],
    )
    .unwrap();
    let first = IpAddr::from(cloud.public);
    let private = cloud.private;
    let known = |server: &mut Server, public: IpAddr| {
        let line = format!("the public address of {private} is {public}");
        server.wait_for_output(&line).unwrap();
    };
    known(&mut server, first);
    let (mut running, told_first) = allocated(&client.space, first);
    assert_eq!(told_first, first);

    // 20 ms between packets: the change falls into the call.
    let mut uclient = client.space.command("turnutils_uclient");
    uclient.args(["-y", "-c", "-m", "2", "-n", "300", "-z", "20", "-l", "100"]);
    uclient
        .args(["-u", "ann", "-w", "secret"])
        .arg(first.to_string());
    let mut call = Process::start(&mut uclient, "call").unwrap();
    call.wait_for_output(&["tot_recv_msgs=1"], GENEROUS)
        .unwrap();
    let second = IpAddr::from(cloud.renumber(&internet).unwrap());
    known(&mut server, second);
    assert_eq!(told(&client.space, second), second);
    assert!(
        !call.output().contains("Total transmit time"),
        "the call was over before"
    );
    assert!(call.wait(GENEROUS).unwrap().success());
    assert!(
        call.output().contains("Total lost packets 0"),
        "{}",
        call.output()
    );
    assert!(matches!(
        running.refresh(600).unwrap(),
        Answer::Success { .. }
    ));
}

#[test]
fn the_address_of_an_interface_is_told_and_followed() {
    let space = Namespace::new("edge").unwrap();
    let at: IpAddr = [10, 0, 0, 1].into();
    space.ip(&format!("address add {at}/32 dev lo")).unwrap();
    space.ip("link add ppp0 type bridge").unwrap();
    space.ip("link set ppp0 up").unwrap();
    space.ip("address add 203.0.113.5/32 dev ppp0").unwrap();
    let mut flags = vec!["--external-ip-from=interface:ppp0", "--external-ip-check=1"];
    flags.extend(USER);
    flags.push("--listening-ip=10.0.0.1");
    let mut server = Server::start(Some(&space), &flags).unwrap();
    let (mut running, first) = allocated(&space, at);
    assert_eq!(first, IpAddr::from([203, 0, 113, 5]));

    space.ip("address del 203.0.113.5/32 dev ppp0").unwrap();
    server.wait_for_output("the last one stays").unwrap();
    assert_eq!(told(&space, at), first);
    space.ip("address add 203.0.113.6/32 dev ppp0").unwrap();
    server
        .wait_for_output("is 203.0.113.6 now, and was 203.0.113.5")
        .unwrap();
    until("new clients are told", GENEROUS, || {
        (told(&space, at) == IpAddr::from([203, 0, 113, 6])).then_some(())
    })
    .unwrap();
    assert!(matches!(
        running.refresh(600).unwrap(),
        Answer::Success { .. }
    ));
}

#[test]
fn clouds_are_asked_in_their_own_words_and_what_is_given_counts_more() {
    let space = Namespace::new("metadata").unwrap();
    space.ip("address add 169.254.169.254/32 dev lo").unwrap();
    space.ip("address add 10.0.0.1/32 dev lo").unwrap();
    let mut python = space.command("python3");
    python.arg(tests_folder().join("clients/metadata.py"));
    let mut metadata = Process::start(&mut python, "metadata").unwrap();
    metadata.wait_for_output(&["ready"], GENEROUS).unwrap();
    let at: IpAddr = [10, 0, 0, 1].into();
    let start = |flags: &[&str]| {
        let all = [&USER[..], &["--listening-ip=10.0.0.1"], flags].concat();
        Server::start(Some(&space), &all).unwrap()
    };
    for (cloud, last) in [("aws", 1), ("gcp", 2), ("azure", 3)] {
        let _server = start(&[&format!("--external-ip-from={cloud}")]);
        assert_eq!(
            told(&space, at),
            IpAddr::from([203, 0, 113, last]),
            "{cloud}"
        );
    }
    let server = start(&["--external-ip-from=aws", "--external-ip=198.51.100.7"]);
    assert_eq!(told(&space, at), IpAddr::from([198, 51, 100, 7]));
    // Nobody is asked who is not named.
    drop(server);
    let before = metadata.output().lines().count();
    let _server = start(&[]);
    assert_eq!(told(&space, at), at);
    assert_eq!(metadata.output().lines().count(), before);
}

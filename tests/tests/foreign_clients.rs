//! Clients that others have written, over loopback: coturn's, the webrtc-rs crate's, aioice and werift.
//!
//! Each server listens on one transport only, because some clients quietly change over when the first one fails.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::process::{run, scratch_file, target_folder, tests_folder};
use e2e::server::{Server, free_port};
use e2e::uclient::{Peer, exchange, uclient};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// What the clients speak to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// Whom the server believes, and what the client says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    StaticUser,
    RestSecret,
}

impl Credential {
    fn server_flags(self) -> &'static [&'static str] {
        match self {
            Self::StaticUser => &["--lt-cred-mech", "--user=guest:guest-password"],
            Self::RestSecret => &["--use-auth-secret", "--static-auth-secret=a-shared-secret"],
        }
    }

    fn uclient_flags(self) -> &'static [&'static str] {
        match self {
            Self::StaticUser => &["-u", "guest", "-w", "guest-password"],
            Self::RestSecret => &["-u", "alice", "-W", "a-shared-secret"],
        }
    }
}

fn server(transport: Transport, credential: Credential) -> Result<(Server, u16)> {
    server_with(transport, credential, &[])
}

fn server_with(
    transport: Transport,
    credential: Credential,
    more_flags: &[&str],
) -> Result<(Server, u16)> {
    let port = free_port(V4)?;
    let port_flag = format!("--listening-port={port}");
    let other_transport = if transport == Transport::Udp {
        "--no-tcp"
    } else {
        "--no-udp"
    };
    let mut flags = vec![
        "--listening-ip=127.0.0.1",
        "--listening-ip=::1",
        &port_flag,
        other_transport,
    ];
    flags.extend([
        "--relay-ip=127.0.0.1",
        "--relay-ip=::1",
        "--allow-loopback-peers",
        "--realm=example.org",
    ]);
    flags.extend(credential.server_flags().iter().chain(more_flags));
    Ok((Server::start(None, &flags)?, port))
}

/// Two clients send ten messages each to an echoing peer, by channels and then by Send indications; all must come back.
fn channels_and_indications(
    transport: Transport,
    address: IpAddr,
    credential: Credential,
) -> Result<()> {
    let (_server, port) = server(transport, credential)?;
    let over: &[&str] = if transport == Transport::Tcp {
        &["-t"]
    } else {
        &[]
    };
    for method in [[].as_slice(), &["-s"]] {
        exchange(
            address,
            port,
            &[over, credential.uclient_flags(), method].concat(),
        )?;
    }
    Ok(())
}

#[test]
fn uclient_over_udp_v4_as_a_static_user() {
    channels_and_indications(Transport::Udp, V4, Credential::StaticUser).unwrap();
}

#[test]
fn uclient_over_udp_v4_with_a_rest_credential() {
    channels_and_indications(Transport::Udp, V4, Credential::RestSecret).unwrap();
}

#[test]
fn uclient_over_udp_v6_as_a_static_user() {
    channels_and_indications(Transport::Udp, V6, Credential::StaticUser).unwrap();
}

#[test]
fn uclient_over_udp_v6_with_a_rest_credential() {
    channels_and_indications(Transport::Udp, V6, Credential::RestSecret).unwrap();
}

#[test]
fn uclient_over_tcp_v4_as_a_static_user() {
    channels_and_indications(Transport::Tcp, V4, Credential::StaticUser).unwrap();
}

#[test]
fn uclient_over_tcp_v4_with_a_rest_credential() {
    channels_and_indications(Transport::Tcp, V4, Credential::RestSecret).unwrap();
}

#[test]
fn uclient_over_tcp_v6_as_a_static_user() {
    channels_and_indications(Transport::Tcp, V6, Credential::StaticUser).unwrap();
}

#[test]
fn uclient_over_tcp_v6_with_a_rest_credential() {
    channels_and_indications(Transport::Tcp, V6, Credential::RestSecret).unwrap();
}

/// TCP allocations (RFC 6062): each client connects to the relayed addresses of all others, and binds what they begin.
#[test]
fn uclient_relays_tcp_between_clients() {
    let (_server, port) = server(Transport::Tcp, Credential::StaticUser).unwrap();
    let port = port.to_string();
    // With six, each has ten data connections, on whichever worker the kernel puts them.
    for (clients, family) in [("1", None), ("6", None), ("2", Some("-x"))] {
        let host = if family.is_some() { "::1" } else { "127.0.0.1" };
        let mut arguments = vec!["-T", "-c", "-n", "10", "-m", clients, "-p", &port];
        arguments.extend(family);
        arguments.extend(Credential::StaticUser.uclient_flags());
        arguments.push(host);
        let totals = uclient(None, &arguments).unwrap();
        assert!(totals.all_returned(), "{arguments:?}: {totals:?}");
    }
}

/// Of each pair one client keeps its allocation and the other comes to it as a plain TCP peer: what the first sends arrives.
///
/// It never counts what the plain peer receives, so half of the messages are lost to it with any server, coturn included.
#[test]
fn uclient_connects_to_a_relayed_address_as_a_peer() {
    let (_server, port) = server(Transport::Tcp, Credential::RestSecret).unwrap();
    let port = port.to_string();
    let mut arguments = vec!["-T", "-P", "-c", "-n", "10", "-p", &port];
    arguments.extend(Credential::RestSecret.uclient_flags());
    arguments.push("127.0.0.1");
    let totals = uclient(None, &arguments).unwrap();
    assert!(
        totals.sent == 20 && totals.received == 10,
        "{arguments:?}: {totals:?}"
    );
}

/// Tokens instead of passwords (RFC 7635): the client mints them itself, with the three keys of its documentation, and takes
/// another one for each Allocate and Refresh.
#[test]
fn uclient_gets_in_by_access_tokens() {
    let keys = scratch_file("oauth-keys").unwrap();
    let content = "north:A256GCM:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK\n\
                   union:A128GCM:MTIzNDU2Nzg5MDEyMzQ1Ngo=\n\
                   oldempire:A256GCM:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK\n";
    std::fs::write(&keys, content).unwrap();
    let keys = format!("--oauth-keys-file={}", keys.display());
    let flags = ["--oauth", "--server-name=turn.example.org", &keys];
    for (transport, flag) in [(Transport::Udp, None), (Transport::Tcp, Some("-t"))] {
        let (_server, port) = server_with(transport, Credential::StaticUser, &flags).unwrap();
        let peer = Peer::start(None, V4).unwrap();
        let (port, peer_port) = (port.to_string(), peer.port.to_string());
        let mut arguments = vec!["-J", "-u", "nobody", "-c", "-n", "10", "-m", "2"];
        arguments.extend(["-p", &port, "-e", "127.0.0.1", "-r", &peer_port]);
        arguments.extend(flag);
        arguments.push("127.0.0.1");
        let totals = uclient(None, &arguments).unwrap();
        assert!(totals.all_returned(), "{arguments:?}: {totals:?}");
    }
}

/// A client that is sent to another server goes there and is served (RFC 8489 §10).
#[test]
fn uclient_follows_a_redirection() {
    let (second, second_port) =
        server_with(Transport::Udp, Credential::StaticUser, &["--verbose"]).unwrap();
    let elsewhere = [
        &*format!("--alternate-server=127.0.0.1:{second_port}"),
        &format!("--alternate-server=[::1]:{second_port}"),
        "--verbose",
    ];
    let (first, port) = server_with(Transport::Udp, Credential::StaticUser, &elsewhere).unwrap();
    let (port, ours) = (port.to_string(), Credential::StaticUser.uclient_flags());
    for (address, family) in [(V4, None), (V6, Some("-x"))] {
        let peer = Peer::start(None, address).unwrap();
        let (host, peer_port) = (address.to_string(), peer.port.to_string());
        let mut arguments = vec!["-c", "-n", "10", "-p", &port, "-e", &host, "-r", &peer_port];
        arguments.extend(ours.iter().copied().chain(family));
        arguments.push(&host);
        let totals = uclient(None, &arguments).unwrap();
        assert!(totals.all_returned(), "{arguments:?}: {totals:?}");
    }
    let made = |server: &Server| server.output().matches("new, realm").count();
    assert_eq!(made(&first), 0, "{}", first.output());
    assert_eq!(made(&second), 2, "{}", second.output());
}

/// Each client moves to another port after it has allocated, in half of the cases after it has left the old one (RFC 8016).
#[test]
fn uclient_takes_its_sessions_along_to_other_ports() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let flags = ["--mobility", "--verbose"];
        let (server, port) = server_with(transport, Credential::StaticUser, &flags).unwrap();
        let peer = Peer::start(None, V4).unwrap();
        let (port, peer_port) = (port.to_string(), peer.port.to_string());
        // Many, so that some go to another worker.
        let mut arguments = vec!["-M", "-c", "-n", "10", "-m", "10", "-p", &port];
        arguments.extend(["-e", "127.0.0.1", "-r", &peer_port]);
        arguments.extend(if transport == Transport::Tcp {
            ["-t"].as_slice()
        } else {
            &[]
        });
        arguments.extend(Credential::StaticUser.uclient_flags());
        arguments.push("127.0.0.1");
        let totals = uclient(None, &arguments).unwrap();
        assert!(totals.all_returned(), "{arguments:?}: {totals:?}");
        let moved = server
            .output()
            .matches("mobility handoff completed")
            .count();
        assert!(moved >= 10, "{moved} sessions have moved");
    }
}

/// A client takes the new nonce out of a 438 and goes on.
#[test]
fn a_nonce_that_grows_stale_during_a_session_costs_no_message() {
    let flags = ["--stale-nonce=1", "--verbose"];
    let (server, port) = server_with(Transport::Udp, Credential::StaticUser, &flags).unwrap();
    let peer = Peer::start(None, V4).unwrap();
    let (port, peer_port) = (port.to_string(), peer.port.to_string());
    // -G repeats CreatePermission and ChannelBind while the messages flow, for ten seconds.
    let mut arguments = vec!["-G", "-c", "-n", "200", "-z", "50", "-p", &port];
    arguments.extend(["-e", "127.0.0.1", "-r", &peer_port]);
    arguments.extend(Credential::StaticUser.uclient_flags());
    arguments.push("127.0.0.1");
    let totals = uclient(None, &arguments).unwrap();
    assert!(totals.all_returned(), "{totals:?}");
    assert!(
        server.output().contains("error 438"),
        "no nonce ever grew stale"
    );
}

/// Two relay-only agents of one stack connect to each other and send messages both ways; the script checks and fails.
fn pair(script: &mut Command, transport: Transport) -> Result<()> {
    let (_server, port) = server(transport, Credential::StaticUser)?;
    pair_at(script, transport, port)
}

fn pair_at(script: &mut Command, transport: Transport, port: u16) -> Result<()> {
    let transport = if transport == Transport::Udp {
        "udp"
    } else {
        "tcp"
    };
    let printed = run(script.args([
        "127.0.0.1",
        &port.to_string(),
        transport,
        "guest",
        "guest-password",
    ]))?;
    ensure!(
        printed.contains("there: 50 messages") && printed.contains("back: 50 messages"),
        "{printed}"
    );
    Ok(())
}

fn aioice() -> Result<Command> {
    let python = target_folder().join("e2e/venv/bin/python");
    installed(
        &python,
        "tests/run, or: python3 -m venv target/e2e/venv && target/e2e/venv/bin/pip install --require-hashes -r tests/clients/requirements.txt",
    )?;
    let mut command = Command::new(python);
    command.arg(tests_folder().join("clients/aioice_pair.py"));
    Ok(command)
}

fn werift() -> Result<Command> {
    let folder = tests_folder().join("clients");
    installed(
        &folder.join("node_modules"),
        "tests/run, or: (cd tests/clients && npm ci)",
    )?;
    let mut command = Command::new("node");
    command.arg(folder.join("werift_pair.mjs"));
    Ok(command)
}

fn installed(path: &Path, remedy: &str) -> Result<()> {
    ensure!(
        path.exists(),
        "{} is missing; install it with {remedy}",
        path.display()
    );
    Ok(())
}

#[test]
fn aioice_over_udp() {
    pair(&mut aioice().unwrap(), Transport::Udp).unwrap();
}

#[test]
fn aioice_over_tcp() {
    pair(&mut aioice().unwrap(), Transport::Tcp).unwrap();
}

#[test]
fn werift_over_udp() {
    pair(&mut werift().unwrap(), Transport::Udp).unwrap();
}

#[test]
fn werift_over_tcp() {
    pair(&mut werift().unwrap(), Transport::Tcp).unwrap();
}

/// A server on which all UDP allocations share one relay port, and more workers than that port has readers.
fn server_with_one_relay_port(transport: Transport) -> Result<(Server, u16)> {
    // An even one: turnutils_uclient sometimes asks for that (EVEN-PORT).
    let even = std::iter::repeat_with(|| free_port(V4))
        .find(|port| port.as_ref().is_ok_and(|port| port % 2 == 0) || port.is_err());
    let shared = even.context("no even port is free")??;
    let shared = format!("--multiplex-peer-port={shared}");
    let flags = [
        "--multiplex-peer",
        &shared,
        "--multiplex-peer-ports=1",
        "--relay-threads=3",
    ];
    server_with(transport, Credential::StaticUser, &flags)
}

/// Six agents at once have the very same relayed address, which is their peer's address as well: only what ICE says tells
/// them apart. coturn refuses the second permission for that address.
#[test]
fn three_pairs_of_agents_on_one_relay_port_find_each_other() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (_server, port) = server_with_one_relay_port(transport).unwrap();
        let scripts = [aioice().unwrap(), werift().unwrap(), aioice().unwrap()];
        let pairs = scripts
            .map(|mut script| std::thread::spawn(move || pair_at(&mut script, transport, port)));
        for pair in pairs {
            pair.join().unwrap().unwrap();
        }
    }
}

/// Two clients on one relay port talk to the same address and port of one peer, by channels and by Send indications.
#[test]
fn uclient_on_one_relay_port() {
    let (_server, port) = server_with_one_relay_port(Transport::Udp).unwrap();
    let peer = Peer::start(None, V4).unwrap();
    let (port, peer_port) = (port.to_string(), peer.port.to_string());
    for method in [[].as_slice(), &["-s"], &["-y"]] {
        let mut arguments = vec!["-p", &port, "-e", "127.0.0.1", "-r", &peer_port];
        arguments.extend(["-n", "10", "-m", "2", "-c"]);
        arguments.extend(Credential::StaticUser.uclient_flags().iter().chain(method));
        arguments.push("127.0.0.1");
        let totals = uclient(None, &arguments).unwrap();
        assert!(totals.all_returned(), "{arguments:?}: {totals:?}");
    }
}

/// The client of the crate whose server ours stands in for.
/// Believes the guest, as a program does that brings its own users along.
struct Guest;

impl turn::auth::AuthHandler for Guest {
    fn auth_handle(&self, user: &str, realm: &str, _: SocketAddr) -> Result<Vec<u8>, turn::Error> {
        match user {
            "guest" => Ok(turn::auth::generate_auth_key(user, realm, "guest-password")),
            _ => Err(turn::Error::ErrNoSuchUser),
        }
    }
}

#[test]
fn uclient_over_a_server_inside_another_program() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let inside = runtime.enter();
    let builder = turn_server::Server::builder().auth_handler(Arc::new(Guest));
    let server = turn_server::danger::allow_loopback_peers(builder)
        .start()
        .unwrap();
    drop(inside);
    let port = server.udp_address().unwrap().port().to_string();
    let peer = Peer::start(None, V4).unwrap();
    let peer_port = peer.port.to_string();
    let common = [
        "-p",
        &port,
        "-u",
        "guest",
        "-w",
        "guest-password",
        "-n",
        "10",
        "-m",
        "2",
    ];
    let echoed = ["-e", "127.0.0.1", "-r", &peer_port, "-c"];
    // To a peer by channels and by Send indications, and from client to client.
    for mode in [&echoed[..], &[&echoed[..], &["-s"]].concat(), &["-y", "-c"]] {
        let totals = uclient(None, &[&common[..], mode, &["127.0.0.1"]].concat()).unwrap();
        assert!(totals.all_returned(), "{mode:?}: {totals:?}");
    }
}

#[tokio::test]
async fn webrtc_rs_over_udp() {
    let (_server, port) = server(Transport::Udp, Credential::StaticUser).unwrap();
    let one = crate_client(port).await.unwrap();
    let other = crate_client(port).await.unwrap();
    let (one_relay, other_relay) = (
        one.allocate().await.unwrap(),
        other.allocate().await.unwrap(),
    );
    let (one_address, other_address) = (
        one_relay.local_addr().unwrap(),
        other_relay.local_addr().unwrap(),
    );
    // Each side sends first, which asks for its permission; what arrives before the other's permission is dropped.
    one_relay.send_to(b"open", other_address).await.unwrap();
    other_relay.send_to(b"open", one_address).await.unwrap();

    for number in 0..10 {
        let message = format!("message {number}");
        one_relay
            .send_to(message.as_bytes(), other_address)
            .await
            .unwrap();
        let received = receive(&other_relay, &message).await.unwrap();
        assert_eq!(received, one_address);
    }
    one.close().await.unwrap();
    other.close().await.unwrap();
}

async fn crate_client(port: u16) -> Result<Client> {
    let server = format!("127.0.0.1:{port}");
    let client = Client::new(ClientConfig {
        stun_serv_addr: server.clone(),
        turn_serv_addr: server,
        username: "guest".to_owned(),
        password: "guest-password".to_owned(),
        realm: String::new(),
        software: String::new(),
        rto_in_ms: 0,
        conn: Arc::new(UdpSocket::bind("127.0.0.1:0").await?),
        vnet: None,
    })
    .await?;
    client.listen().await?;
    Ok(client)
}

/// Receives until `expected` has come and returns its sender.
async fn receive(relay: &impl Conn, expected: &str) -> Result<SocketAddr> {
    let mut buffer = [0_u8; 1500];
    loop {
        let (length, from) = timeout(Duration::from_secs(5), relay.recv_from(&mut buffer))
            .await
            .context("nothing came")??;
        if &buffer[..length] == expected.as_bytes() {
            return Ok(from);
        }
    }
}

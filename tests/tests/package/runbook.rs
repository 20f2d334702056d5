//! The runbook of the migration page, run line by line.

use std::fs;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::machine::Machine;
use e2e::netns::Namespace;
use e2e::process::{tests_folder, until};
use e2e::turn_client::{Answer, TurnClient};

use super::support::{ADDRESS, GENEROUS, active, journal, ours};

/// The blocks of shell under the runbook's head on the migration page.
fn runbook() -> Vec<String> {
    let page = tests_folder().join("../docs/migrate-from-coturn.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, runbook) = page.split_once("## The move, step by step").unwrap();
    let blocks = runbook.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// The machine's address for clients over IPv6.
const ADDRESS_6: &str = "2001:db8::10";

/// Clients that come from elsewhere, as packet filters see it.
struct Clients {
    space: Namespace,
    server: SocketAddr,
    server_6: SocketAddr,
}

impl Clients {
    fn new(machine: &Machine) -> Self {
        let space = Namespace::new("clients").unwrap();
        machine.plug(&space, "203.0.113.10/24").unwrap();
        space.ip("address add 203.0.113.20/24 dev wan").unwrap();
        space
            .ip("address add 2001:db8::20/64 dev wan nodad")
            .unwrap();
        machine
            .run(&format!("ip address add {ADDRESS_6}/64 dev eth0 nodad"))
            .unwrap();
        Self {
            space,
            server: format!("{ADDRESS}:3478").parse().unwrap(),
            server_6: format!("[{ADDRESS_6}]:3478").parse().unwrap(),
        }
    }

    /// A client with a credential that the web application has made.
    fn client(&self) -> TurnClient {
        self.client_of(self.server)
    }

    fn client_of(&self, server: SocketAddr) -> TurnClient {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let minted = turn_auth::rest::mint(b"4f1c9e2b7a", "alice", 600, now.as_secs(), ':');
        let (name, password) = (&minted.username, &minted.password);
        self.space
            .inside(|| TurnClient::new(server, name, password))
            .unwrap()
    }

    fn allocated(&self) -> TurnClient {
        let mut client = self.client();
        until("an allocation", GENEROUS, || {
            matches!(client.allocate(None).ok()?, Answer::Success { .. }).then_some(())
        })
        .unwrap();
        client
    }

    /// How many of so many new clients come to the canary.
    fn canaries(&self, machine: &Machine, of: usize) -> u64 {
        self.canaries_of(self.server, machine, of)
    }

    fn canaries_of(&self, server: SocketAddr, machine: &Machine, of: usize) -> u64 {
        let before = requests(machine);
        for _ in 0..of {
            assert!(self.client_of(server).is_alive().unwrap());
        }
        requests(machine) - before
    }
}

/// Of fifty clients: one may have a port that an earlier one had, and goes where that went.
const NEARLY_ALL: u64 = 45;

const CANARY: &str = "/opt/turnpike/usr/bin/turnctl --socket=/run/turnpike-canary/control.sock";

/// Binding requests that the canary has seen.
fn requests(machine: &Machine) -> u64 {
    let metrics = machine.run(&format!("{CANARY} metrics")).unwrap();
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("stun_binding_request "));
    count.map_or(0, |count| count.trim().parse::<f64>().unwrap() as u64)
}

fn goes_on(client: &mut TurnClient) {
    let answer = client.refresh(600).unwrap();
    assert!(matches!(answer, Answer::Success { .. }), "{answer:?}");
}

#[test]
fn the_runbook_of_this_page_moves_a_host_and_back() {
    let machine = Machine::boot(&[]).unwrap();
    let clients = Clients::new(&machine);
    machine.take(ours()).unwrap();
    machine
        .run("apt-get install -y --no-download --no-install-recommends coturn")
        .unwrap();
    let conf = "use-auth-secret\nstatic-auth-secret=4f1c9e2b7a\nrealm=example.org\nlistening-ip=203.0.113.10\nlistening-ip=2001:db8::10\n";
    machine.write("/etc/turnserver.conf", conf).unwrap();
    machine
        .run("systemctl reset-failed coturn; systemctl restart coturn")
        .unwrap();
    active(&machine, "coturn");
    let blocks = runbook();
    let step = |number: usize| {
        let line = format!("cd /root\n{}", blocks[number]);
        machine
            .run(&line)
            .unwrap_or_else(|error| panic!("{error}: {}", journal(&machine)))
    };

    let explained = step(0);
    assert!(explained.contains("realm = example.org"), "{explained}");
    step(1);
    active(&machine, "turnpike-canary");
    let user = machine
        .run("ps -o user= -p $(systemctl show -P MainPID turnpike-canary)")
        .unwrap();
    assert_eq!(user.trim(), "turnserver");
    assert!(clients.canaries(&machine, 50) <= 50 - NEARLY_ALL);
    step(2);
    // By a coin that falls on ten of a hundred, 200 times: 20, and hardly ever fewer than 1 or more than 60.
    let share = clients.canaries(&machine, 200);
    assert!((1..=60).contains(&share), "{share}");
    let sessions = || machine.run(&format!("{CANARY} sessions --json")).unwrap();
    let mut on_canary = until("a call on the canary", GENEROUS, || {
        let client = clients.allocated();
        sessions().contains("alice").then_some(client)
    })
    .unwrap();

    step(3);
    assert!(clients.canaries(&machine, 50) <= 50 - NEARLY_ALL);
    goes_on(&mut on_canary);
    let mut on_coturn = clients.allocated();
    step(4);
    assert!(clients.canaries(&machine, 50) >= NEARLY_ALL);
    assert!(clients.canaries_of(clients.server_6, &machine, 50) >= NEARLY_ALL);
    goes_on(&mut on_canary);
    goes_on(&mut on_coturn);

    step(5);
    active(&machine, "turnserver");
    assert!(machine.run("systemctl is-active coturn").is_err());
    goes_on(&mut on_canary);
    drop(clients.allocated());
    assert!(
        machine
            .run("turnctl sessions --json")
            .unwrap()
            .contains("alice")
    );
    // Some clients of the wait for the canary may have been left there, too.
    machine
        .run(&format!("{CANARY} kill --client=203.0.113.20"))
        .unwrap();
    until("the canary ends with its last call", GENEROUS, || {
        machine
            .run("systemctl is-active turnpike-canary")
            .is_err()
            .then_some(())
    })
    .unwrap();

    step(6);
    assert!(!machine.run("nft list ruleset").unwrap().contains("canary"));
    drop(clients.allocated());

    step(7);
    active(&machine, "coturn");
    assert!(machine.run("systemctl is-active turnserver").is_err());
    assert_eq!(
        fs::read_to_string(machine.path("/etc/turnserver.conf")).unwrap(),
        conf
    );
    drop(clients.allocated());
}

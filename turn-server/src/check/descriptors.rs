//! Whether all relay ports can be had: descriptors, and the ports that a container publishes.

use turn_config::settings::Settings;

use super::{Machine, Said};

/// Descriptors that are no relay sockets, with a few to spare.
const OTHERS: u64 = 64;

/// From so many published ports on, Docker starts a process or writes firewall rules for longer than anybody waits.
const MANY_PORTS: u64 = 1000;

/// Tells when descriptors run out before ports do. Each allocation has a port, and each port is a descriptor.
pub(super) fn port_range(machine: &Machine, said: &mut Said<'_>) {
    let Some(ports) = own_ports(said.settings) else {
        return;
    };
    let room = machine.descriptors.saturating_sub(OTHERS);
    if room >= ports {
        return;
    }
    let limit = machine.descriptors;
    let needed = ports + OTHERS;
    said.at(
        given_range(said.settings),
        format!(
            "{}: {ports} relay ports need more than the {limit} files that this process may open; write LimitNOFILE={needed} into \
             the unit (or ulimit -Hn {needed}), or a smaller range",
            range(said.settings)
        ),
    );
}

/// Tells when publishing the range would freeze the host of a container.
pub(super) fn published_ports(machine: &Machine, said: &mut Said<'_>) {
    let Some(ports) = own_ports(said.settings) else {
        return;
    };
    // With the network of the host, a container sees the addresses of the host, a public one among them in most cases.
    let isolated = machine.container
        && (machine.addresses.iter()).all(|ip| match ip {
            std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
            std::net::IpAddr::V6(ip) => {
                ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local()
            }
        });
    if isolated && ports >= MANY_PORTS {
        said.at(
            given_range(said.settings),
            format!(
                "{}: publishing {ports} ports of a container takes Docker minutes and gigabytes; run it with --network host, or \
                 write multiplex-peer, which needs one port, or a range of a hundred",
                range(said.settings)
            ),
        );
    }
}

/// Relay ports of allocations that have one each; `None` where they share them, or where nothing is relayed.
fn own_ports(settings: &Settings) -> Option<u64> {
    let relay = &settings.relay;
    let own = settings.stun.relaying && relay.multiplex.is_none();
    own.then(|| u64::from(relay.max_port.saturating_sub(relay.min_port)) + 1)
}

fn range(settings: &Settings) -> String {
    let relay = &settings.relay;
    format!("min-port={}, max-port={}", relay.min_port, relay.max_port)
}

fn given_range(settings: &Settings) -> turn_config::Origin {
    match settings.origin("min-port") {
        turn_config::Origin::Default => settings.origin("max-port"),
        given => given,
    }
}

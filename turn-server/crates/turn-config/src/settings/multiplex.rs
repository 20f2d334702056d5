//! Relay ports that allocations share (coturn's `multiplex-peer`).

use crate::diagnostics::Report;
use crate::values::Values;

/// Describes the shared relay ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplex {
    /// The first port.
    pub first_port: u16,
    /// How many there are; `None`: one for each worker.
    pub ports: Option<u16>,
    /// How many peers one allocation may have.
    pub max_peers: usize,
}

impl Multiplex {
    /// Reads the options; `None` where each allocation has a port of its own. `taken` are ports that are listened on.
    pub(super) fn build(
        values: &Values,
        taken: &[(&str, u16)],
        report: &mut Report,
    ) -> Option<Multiplex> {
        let number = |option| values.number(option).unwrap_or_default();
        let small = |number| u16::try_from(number).unwrap_or(u16::MAX);
        let multiplex = Multiplex {
            first_port: small(number("multiplex-peer-port")),
            ports: Some(small(number("multiplex-peer-ports"))).filter(|ports| *ports > 0),
            max_peers: usize::try_from(number("multiplex-peer-max-peers")).unwrap_or(usize::MAX),
        };
        if !values.flag("multiplex-peer") {
            let options = ["port", "ports", "max-peers"].map(|end| format!("multiplex-peer-{end}"));
            for option in options.iter().filter(|option| values.is_given(option)) {
                report.warn(
                    values.origin(option),
                    format!("{option} is used only with multiplex-peer"),
                );
            }
            return None;
        }
        let last = multiplex
            .first_port
            .checked_add(multiplex.ports.unwrap_or(1) - 1);
        let Some(last) = last else {
            report.problem(
                values.origin("multiplex-peer-ports"),
                "multiplex-peer-ports goes beyond port 65535",
                "Lower it, or multiplex-peer-port.",
            );
            return None;
        };
        let shared = multiplex.first_port..=last;
        for (option, port) in taken.iter().filter(|(_, port)| shared.contains(port)) {
            report.problem(
                values.origin("multiplex-peer-port"),
                format!("{option} {port} is one of the shared relay ports"),
                "Choose another multiplex-peer-port.",
            );
        }
        Some(multiplex)
    }
}

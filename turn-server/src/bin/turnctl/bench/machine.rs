//! The machine a table was made on: figures without it mean nothing.

use super::placement::Placement;
use serde::Serialize;
use std::fs;

/// What a reader must know to compare a table with another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The largest receive buffer that a server may ask for, in bytes.
    pub(crate) rmem_max: String,
    pub(crate) server_core: usize,
    pub(crate) generator_core: usize,
    /// Whether server and generator ran ahead of ordinary processes.
    pub(crate) raised: bool,
    /// Figures of an unoptimised build are no figures.
    pub(crate) optimised: bool,
}

impl Machine {
    pub(crate) fn look(placement: &Placement) -> Self {
        let read = |path: &str| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Self {
            processor: processor(&read("/proc/cpuinfo")),
            cores: cores(&read("/proc/stat")),
            kernel: read("/proc/sys/kernel/osrelease"),
            rmem_max: read("/proc/sys/net/core/rmem_max"),
            server_core: placement.server_core,
            generator_core: placement.generator_core,
            raised: placement.raised,
            optimised: !cfg!(debug_assertions),
        }
    }
}

fn processor(cpuinfo: &str) -> String {
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// All cores, not only those this process is pinned to.
fn cores(stat: &str) -> usize {
    stat.lines()
        .filter(|line| {
            line.strip_prefix("cpu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: AMD EPYC\nflags: x\n"),
            "AMD EPYC"
        );
        assert_eq!(processor(""), "unknown");
    }

    #[test]
    fn cores_are_counted_without_the_sum() {
        assert_eq!(cores("cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 3\n"), 2);
    }
}

//! Turnpike, put together: settings become workers, HTTP servers, log lines and metrics.
//!
//! In here: assembly, the daemon's life from start to end, and the embedding interface [`Server`]. Not in here: any rule of
//! a protocol. Each of those has its crate under `crates/`.
#![forbid(unsafe_code)]

pub mod addresses;
mod certificates;
pub mod check;
mod client_lists;
pub mod control;
pub mod daemon;
mod descriptors;
mod discovery;
mod drain;
mod embed;
mod endpoints;
#[doc = include_str!("../EMBEDDING.md")]
pub mod embedding {}
pub mod background;
mod external;
mod http;
mod https;
mod inherited;
mod listener;
mod logging;
mod metrics_page;
mod pid_file;
pub mod prepare;
mod privileges;
mod quickstart;
pub mod relay_config;
mod reload;
mod secure_listener;
mod secure_stream;
mod serve;
mod server;
mod session_log;
mod signals;
mod sites;
mod trusted_path;
mod watchdog;

pub use daemon::Fatal;
pub use drain::{Drain, DrainState};
pub use reload::{Reader, Reloaded};
pub use server::{Builder, Server, danger};
pub use turn_io::Stats;

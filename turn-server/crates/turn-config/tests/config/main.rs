//! What an operator may write, and what comes of it. Nothing here touches the machine: files and names are made up.
// A panic in a test is its report, also in the helpers, which the lint does not recognise as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arbitrary;
mod auth_files;
mod bad_input;
mod bad_input_elsewhere;
mod checks;
mod client_lists;
mod contradictions;
mod credentials;
mod deployments;
mod every_option_moves;
mod file_rules;
mod flags;
mod generated;
mod migration;
mod oauth;
mod other_program;
mod own_ports;
mod registry;
mod reread;
mod samples;
mod start;
mod support;
mod tls;
mod toml;
mod variables;

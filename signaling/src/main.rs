//! The signaling service as a program of its own; see `signaling --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    signaling::program::main(std::env::args_os().skip(1))
}

//! The signaling service as a program of its own; see `signaling --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    signaling::program::main(std::env::args_os().skip(1))
}

# Log lines, as parsers and fail2ban read them; and the process: its user, its place in the background, its devices.
# budget: 60
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test logs --test process

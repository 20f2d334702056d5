# The configuration read again under clients, and the server running dry.
# budget: 120
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test reload

# Two signaling processes around a Redis, one of which dies, and then Redis: no call ends. The costs are printed.
# budget: 60
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test fleet -- --nocapture two_nodes

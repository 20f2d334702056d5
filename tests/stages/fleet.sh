# Signaling processes around a Redis: over TLS they believe the right one alone; of two one dies, then Redis: no call ends. The costs are printed.
# budget: 60
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test fleet -- --nocapture two_nodes over_tls

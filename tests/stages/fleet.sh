# Signaling processes around a Redis: over TLS they believe the right one alone; a call is one row, whoever dies; of two nodes one dies, then Redis: no call ends.
# budget: 60
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test fleet -- --nocapture two_nodes over_tls calls_are

# Three signaling processes around a Redis, in the clear and over TLS: each is killed, stopped, cut off and ended, and Redis as well.
# budget: 600
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test fleet -- --nocapture --test-threads=1 three_nodes

# Many clients come and go, round after round; nothing stays behind.
# budget: 900
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test soak

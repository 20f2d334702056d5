# Many clients come and go for SOAK_MINUTES (20); nothing stays behind, and the slopes are printed.
# budget: 1500
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test soak -- --nocapture

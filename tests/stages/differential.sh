# The same requests to coturn and to ours: every difference is explained.
# budget: 90
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test differential -- --nocapture

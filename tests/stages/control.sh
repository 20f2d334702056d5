# turnctl and the metrics page, while coturn's client is served.
# budget: 180
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test control

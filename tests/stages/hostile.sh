# What strangers can do to a running server: nothing is kept of them, and their flood hurts nobody.
# budget: 240
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test hostile -- --test-threads=1 --nocapture

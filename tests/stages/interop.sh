# Every client over every transport in both address families, with nonces that live three seconds; uclient in every mode.
# budget: 300
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test interop -- --nocapture

# Chromium and Firefox on quickstart's pages.
# budget: 420
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test browsers -- --test-threads=1

# No lint finds anything, in programs, tests, examples and benches.
# budget: 240
# counts: itself
cargo clippy --locked --workspace --all-targets -- -D warnings

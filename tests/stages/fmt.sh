# Every Rust file is formatted.
# budget: 30
# counts: itself
cargo fmt --all --check

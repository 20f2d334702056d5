# The programs as they are shipped; the stages below run them.
# budget: 420
# counts: itself
cargo build --locked --release --workspace

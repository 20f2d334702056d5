# The documentation builds without a warning, private items too.
# budget: 120
# counts: itself
RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items

# The files that are made from the option registry are what the registry says now.
# budget: 60
# counts: itself
cargo run --locked -p turn-config --example generate
cargo run --locked -p signaling --example generate
git diff --exit-code -- config

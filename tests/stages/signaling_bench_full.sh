# Our signaling beside the npm servers peer and socket.io, with 15,000 idle connections each.
# budget: 900
# counts: itself
cargo run --locked --release -p signaling --example bench | sed 's/^/say: /'

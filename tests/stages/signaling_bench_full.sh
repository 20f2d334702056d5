# Our signaling beside the npm servers peer and socket.io: 15,000 idle connections each, messages, rooms as they grow, hostile neighbours.
# budget: 1800
# counts: itself
cargo run --locked --release -p signaling --example bench | sed 's/^/say: /'

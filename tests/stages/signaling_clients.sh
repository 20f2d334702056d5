# The clients of other signaling systems, unmodified, in browsers: PeerJS, Socket.IO with simple-peer; two WebSocket libraries; and the
# program beside what operators put around it: issuers of tokens, PostgreSQL.
# budget: 150
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test signaling_service
cargo test --locked -p e2e --test signaling_clients --test signaling_libraries -- --test-threads=1

# coturn's client, the webrtc-rs crate, aioice and werift through the relay; OpenSSL, TLS and DTLS; HAProxy in front; curl.
# budget: 240
# counts: tests
# Their clients wait most of the time: more of them at once than there are cores.
export RUST_LIB_BACKTRACE=0 RUST_TEST_THREADS=6
cargo test --locked -p e2e --test foreign_clients --test allocations --test secure_transports --test secure_datagrams --test proxied --test one_port

# coturn's client, the webrtc-rs crate, aioice and werift through the relay; OpenSSL, TLS and DTLS; HAProxy in front; curl.
# budget: 330
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test foreign_clients --test allocations --test secure_transports --test secure_datagrams --test proxied --test one_port

# Calls across NAT routers, without UDP, without IPv4, to a server behind a NAT that finds its address.
# budget: 360
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test nat_lab --test ip_headers --test external_address -- --test-threads=1

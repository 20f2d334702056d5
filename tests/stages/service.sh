# What systemd is told, how closed the units are, the samples, and the container's image and manifests.
# budget: 60
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test service --test containers

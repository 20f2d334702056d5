# The container's image, built from its Dockerfile by podman and run as the compose files run it: on the host's network, and behind
# published ports.
# budget: 900
# counts: tests
target=$(realpath "${CARGO_TARGET_DIR:-target}")
store=(podman --root "$target/e2e/images" --runroot /run/turnpike-images --cgroup-manager cgroupfs --runtime runc)
base=docker.io/library/$(sed -n 's/^ARG RUST_IMAGE=//p' config/docker/Dockerfile)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
mounts=()

# Where no registry is reached: Debian's base with this machine's own Rust, under the name of the base that is missing.
substitute() {
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" RETURN
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
  debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$work" "$mirror"
  mkdir "$work/usr/local/rust"
  tar -cC "$(rustc --print sysroot)" --exclude=./share . | tar -xC "$work/usr/local/rust"
  tar -cC "$work" . | "${store[@]}" import \
    --change 'ENV PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change "ENV CARGO_HOME=$cargo_home" --change 'ENV CARGO_NET_OFFLINE=true' - "$base"
}

if ! "${store[@]}" image exists "$base"; then
  timeout 120 "${store[@]}" pull --quiet "$base" || substitute
fi
if "${store[@]}" image inspect --format '{{.Config.Env}}' "$base" | grep -q CARGO_NET_OFFLINE; then
  echo "say: $base was not to be had: built on Debian with $(rustc --version) in its place"
  mounts+=(--volume "$cargo_home:$cargo_home")
fi
# What a build has compiled is there for the next one.
mkdir -p "$target/e2e/image-target"
mounts+=(--volume "$target/e2e/image-target:/src/target")
# As Docker's build reads the file: with HEALTHCHECK, and without what its ignore file names.
"${store[@]}" build --isolation chroot --format docker --ignorefile config/docker/Dockerfile.dockerignore "${mounts[@]}" \
  --file config/docker/Dockerfile --tag turnpike .
"${store[@]}" image prune --force >/dev/null
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test image -- --test-threads=1

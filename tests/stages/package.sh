# The Debian package on machines of its own, with systemd as their first process: the first start, the upgrade, coturn replaced and
# back again, and what the units promise.
# budget: 360
# counts: tests
base=${CARGO_TARGET_DIR:-target}/e2e/debian.tar
if [ ! -e "$base" ]; then
  # Debian's release is the pin, as for the tools.
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  include=systemd,systemd-sysv,dbus,iproute2,init-system-helpers,adduser,nftables,procps,logrotate
  # From where this machine has its own packages.
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
  # It becomes the root folder, which services that are not root have to enter.
  chmod 755 "$work"
  debootstrap --variant=minbase --include="$include" bookworm "$work" "$mirror"
  cp /etc/resolv.conf "$work/etc/"
  chroot "$work" apt-get update
  # For later, without a network.
  chroot "$work" apt-get install -y --no-install-recommends --download-only coturn
  rm "$work/etc/resolv.conf"
  tar -cf "$base.new" -C "$work" .
  mv "$base.new" "$base"
fi
# What is left to say is explained in systemd/deb/lintian-overrides.
folder=$(mktemp -d)
systemd/deb/build "$folder"
lintian --fail-on error,warning "$folder"/*.deb
rm -r "$folder"
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test package -- --test-threads=2

#!/usr/bin/env bash
# tools/sysroot.sh aarch64|armv7: .venv/sysroot/<name>, a Debian root folder of that architecture: C library, the
# libraries that tools/setup.sh names, GoogleTest, Python and, where pip has none, NumPy. Nothing of the system is changed: apt keeps its lists of that
# architecture in the folder too.
set -euo pipefail
cd "$(dirname "$0")/.."
more=()
case ${1:-} in
  aarch64) debian=arm64 ;;
  armv7) debian=armhf more=(python3-numpy) ;;  # the Python package index has no wheel of it
  *) echo "tools/sysroot.sh aarch64|armv7, got '${1:-}'"; exit 2 ;;
esac
root=$PWD/.venv/sysroot/$1
mapfile -t libraries < <(sed -n 's|^need \([a-z0-9.-]*-dev\) /usr/include/.*|\1|p' tools/setup.sh)
packages=(libc6-dev libstdc++6 "${libraries[@]}" libgtest-dev libgmock-dev python3 libpython3-dev "${more[@]}")
[[ -e $root/made && "$(cat "$root/made")" == "${packages[*]}" ]] && exit 0

echo "Making .venv/sysroot/$1"
rm -rf "$root"
mkdir -p "$root"/apt/{lists,cache/archives}/partial
touch "$root/apt/status"
cat >"$root/apt/apt.conf" <<END
APT::Architecture "$debian";
APT::Architectures { "$debian"; };
APT::Sandbox::User "$(id -un)";
Dir::State "$root/apt";
Dir::State::status "$root/apt/status";
Dir::Cache "$root/apt/cache";
END
export APT_CONFIG=$root/apt/apt.conf
apt-get update -qq || echo "Going on with the lists of packages that came"
apt-get install -qq --download-only -y --no-install-recommends "${packages[@]}" >/dev/null
for package in "$root"/apt/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$root"
done
# Links to absolute paths would leave the folder.
find "$root" -type l -lname '/*' -printf '%p %l\n' | while read -r link target; do
  ln -sfn "$(realpath -ms --relative-to="$(dirname "$link")" "$root$target")" "$link"
done
# What a package's installation would choose among several.
for chosen in "$root"/usr/lib/*/{blas,lapack}/lib*.so.3; do
  [[ -e $chosen ]] && ln -sfn "$(basename "$(dirname "$chosen")")/$(basename "$chosen")" "$(dirname "$chosen")/.."
done
rm -rf "$root/apt"
echo "${packages[*]}" >"$root/made"

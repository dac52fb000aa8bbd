#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh bpf | clients | java | kernels | network | prometheus | systemd...
#
# Installs what tests and generators need and is not there yet:
#   bpf         clang, llvm-strip and clang-format 19, and the headers of libbpf
#   clients     compilers and interpreters for client libraries: C, Rust, Node.js, Python (and see java)
#   java        a JDK (17 or newer) and Maven
#   kernels     QEMU for x86-64 and arm64, and the keys by which kernels of Debian are checked
#   network     ip, which makes network namespaces, and nsenter, which runs programs in them
#   prometheus  Prometheus and promtool; the service that the package brings is not started
#   systemd     systemd-analyze, which checks units; setpriv, unshare and setcap, which take and
#               give privileges
# Does nothing when all of it is there. Needs root and apt; elsewhere it says what to install.
set -eu

packages=
services= # of these packages; nobody asked to run them
for what in "$@"; do
	case $what in
	bpf)
		# The committed objects are rebuilt byte for byte: the version matters.
		command -v clang-19 >/dev/null 2>&1 || packages="$packages clang-19"
		command -v llvm-strip-19 >/dev/null 2>&1 || packages="$packages llvm-19"
		command -v clang-format-19 >/dev/null 2>&1 || packages="$packages clang-format-19"
		[ -e /usr/include/bpf/bpf_helpers.h ] || packages="$packages libbpf-dev"
		;;
	clients)
		command -v gcc >/dev/null 2>&1 || packages="$packages gcc libc6-dev"
		command -v g++ >/dev/null 2>&1 || packages="$packages g++"
		command -v make >/dev/null 2>&1 || packages="$packages make"
		# Older ones do not read Cargo.lock. Debian 12 has a newer one under another name.
		minor=$(cargo --version 2>&1 | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
		if [ "${minor:-0}" -lt 78 ]; then
			case $(cat /etc/debian_version 2>/dev/null) in
			12*) packages="$packages cargo-web" ;;
			*) packages="$packages cargo" ;;
			esac
		fi
		command -v node >/dev/null 2>&1 || packages="$packages nodejs"
		command -v npm >/dev/null 2>&1 || packages="$packages npm"
		# A virtual environment brings its own pip, which Debian packages apart.
		python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages="$packages python3-venv"
		;;
	java)
		# javac of another major version would not compile --release 17.
		major=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
		if ! command -v java >/dev/null 2>&1 || [ "${major:-0}" -lt 17 ]; then
			packages="$packages openjdk-17-jdk-headless"
		fi
		command -v mvn >/dev/null 2>&1 || packages="$packages maven"
		;;
	kernels)
		command -v qemu-system-x86_64 >/dev/null 2>&1 || packages="$packages qemu-system-x86"
		command -v qemu-system-aarch64 >/dev/null 2>&1 || packages="$packages qemu-system-arm"
		[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || packages="$packages debian-archive-keyring"
		;;
	network)
		command -v ip >/dev/null 2>&1 || packages="$packages iproute2"
		command -v nsenter >/dev/null 2>&1 || packages="$packages util-linux"
		;;
	prometheus)
		if ! command -v prometheus >/dev/null 2>&1 || ! command -v promtool >/dev/null 2>&1; then
			packages="$packages prometheus"
			services="$services prometheus"
		fi
		;;
	systemd)
		command -v systemd-analyze >/dev/null 2>&1 || packages="$packages systemd"
		command -v setpriv >/dev/null 2>&1 && command -v unshare >/dev/null 2>&1 || packages="$packages util-linux"
		command -v setcap >/dev/null 2>&1 || packages="$packages libcap2-bin"
		;;
	*)
		echo "test/install.sh: $what is not known; known: bpf clients java kernels network prometheus systemd" >&2
		exit 2
		;;
	esac
done
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "test/install.sh: missing:$packages" >&2
	echo "Run this script as root on Debian or Ubuntu, or install them." >&2
	exit 1
fi
# Debian starts what it installs unless this file says no (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ -n "$services" ] && [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
apt-get update -q
# Word splitting is meant: one argument a package.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages
for service in $services; do
	[ ! -d /run/systemd/system ] || systemctl disable -q "$service" # nor at the next start of the machine
done

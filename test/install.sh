#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh bpf | java...
#
# Installs what tests and generators need and is not there yet:
#   bpf   clang, llvm-strip and clang-format 19, and the headers of libbpf
#   java  a JDK (17 or newer) and Maven
# Does nothing when all of it is there. Needs root and apt; elsewhere it says what to install.
set -eu

packages=
for what in "$@"; do
	case $what in
	bpf)
		# The committed objects are rebuilt byte for byte: the version matters.
		command -v clang-19 >/dev/null 2>&1 || packages="$packages clang-19"
		command -v llvm-strip-19 >/dev/null 2>&1 || packages="$packages llvm-19"
		command -v clang-format-19 >/dev/null 2>&1 || packages="$packages clang-format-19"
		[ -e /usr/include/bpf/bpf_helpers.h ] || packages="$packages libbpf-dev"
		;;
	java)
		# javac of another major version would not compile --release 17.
		major=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
		if ! command -v java >/dev/null 2>&1 || [ "${major:-0}" -lt 17 ]; then
			packages="$packages openjdk-17-jdk-headless"
		fi
		command -v mvn >/dev/null 2>&1 || packages="$packages maven"
		;;
	*)
		echo "test/install.sh: $what is not known; known: bpf java" >&2
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
apt-get update -q
# Word splitting is meant: one argument a package.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages

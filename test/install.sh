#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the tests with real Kafka need and is not there yet: a JDK
# (17 or newer) and Maven. Does nothing when both are there. Needs root and
# apt; elsewhere it says what to install.
set -eu

packages=
# javac of another major version would not compile --release 17.
major=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
if ! command -v java >/dev/null 2>&1 || [ "${major:-0}" -lt 17 ]; then
	packages="$packages openjdk-17-jdk-headless"
fi
if ! command -v mvn >/dev/null 2>&1; then
	packages="$packages maven"
fi
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "test/install.sh: the tests with real Kafka need a JDK (17 or newer) and Maven." >&2
	echo "Run this script as root on Debian or Ubuntu, or install:$packages" >&2
	exit 1
fi
apt-get update -q
# Word splitting is meant: one argument a package.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages

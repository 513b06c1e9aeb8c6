#!/bin/sh
# Installs the missing packages for the build and a run, and prints their names before. Changes nothing
# if nothing is missing. `need.sh arm` includes the packages for the LM3S6965.
set -eu
arm=${1-}

# A command or file, and Debian's package that brings it.
wanted() {
	cat <<-'END'
	cc gcc
	/usr/include/stdio.h libc6-dev
	xz xz-utils
	python3 python3
	xtensa-lx106-elf-gcc gcc-xtensa-lx106
	/usr/lib/xtensa-lx106-elf/picolibc.specs picolibc-xtensa-lx106-elf
	qemu-system-xtensa qemu-system-misc
	mosquitto mosquitto
	openssl openssl
	END
	[ "$arm" != arm ] || cat <<-'END'
	arm-none-eabi-gcc gcc-arm-none-eabi
	/usr/lib/picolibc/arm-none-eabi/picolibc.specs picolibc-arm-none-eabi
	qemu-system-arm qemu-system-arm
	END
}

# Mosquitto is in /usr/sbin, which is not on every PATH.
PATH=$PATH:/usr/sbin:/sbin
missing=$(wanted | while read -r thing package; do
	case $thing in
	/*) [ -e "$thing" ] ;;
	*) command -v "$thing" >/dev/null ;;
	esac || printf ' %s' "$package"
done)

if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ]; then
		as_root=
	elif command -v sudo >/dev/null; then
		as_root=sudo
	else
		echo "error: these packages are missing, and only root can install them:" >&2
		echo "    apt-get install$missing" >&2
		exit 1
	fi
	echo "installing from Debian's packages:$missing"
	# The package starts a broker on port 1883, which is not wanted. A policy file would change the
	# system; a unit that is already masked stays masked.
	started=$(pidof mosquitto || true)
	$as_root apt-get update -qq
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
	case $missing in
	*mosquitto*) [ -n "$started" ] || ! command -v systemctl >/dev/null ||
		$as_root systemctl disable --now --quiet mosquitto 2>/dev/null || true ;;
	esac
fi

# No Debian package of the toolchain is new enough.
want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
have=$(rustc --version 2>/dev/null | sed 's/^rustc \([0-9.]*\).*/\1/' || true)
oldest=$(printf '%s\n%s\n' "$want" "${have:-0}" | sort -V | head -n 1)
if [ "$oldest" != "$want" ]; then
	echo "error: Rust $want or newer is needed, and there is ${have:-none}." >&2
	echo "Install it with rustup (https://rustup.rs), or \`rustup update\`; Debian 12's own is older." >&2
	exit 1
fi

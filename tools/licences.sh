#!/bin/sh
# Licences, sources and bans of the whole tree, by cargo-deny if it is installed. Advisories need a
# database from the network; CI checks them (.github/workflows/ci.yml).
set -eu
if ! command -v cargo-deny >/dev/null; then
	echo "licences: not checked, cargo-deny is not installed (cargo install cargo-deny --locked)"
	exit 0
fi
exec cargo deny --offline check bans licenses sources

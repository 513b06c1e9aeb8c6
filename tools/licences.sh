#!/bin/sh
# Licences, sources and bans of the whole tree, by cargo-deny where it is there. Advisories need a
# database from the network and are CI's (see .github/workflows/ci.yml).
set -eu
if ! command -v cargo-deny >/dev/null; then
	echo "licences: not checked, for cargo-deny is missing here (cargo install cargo-deny --locked)"
	exit 0
fi
exec cargo deny --offline check bans licenses sources

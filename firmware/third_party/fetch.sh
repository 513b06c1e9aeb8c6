#!/bin/sh
# Fetches lwIP and BearSSL from Debian's source packages:
#
#   fetch.sh DEST      leaves DEST/lwip and DEST/bearssl
#
# It asks the machine's own apt, with a private copy of its sources that names
# source packages too and private lists, so nothing on the system changes and
# an ordinary user can run it. Only the upstream tarballs are used, held
# against SHA256SUMS; Debian's patches concern Unix sockets, PPP and CMake,
# none of which is built here. DEST/stamp is written last, so a fetch that was
# cut short is done again; tarballs that are already there are kept.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: fetch.sh DEST" >&2; exit 2; }
mkdir -p "$1"
dest=$(cd "$1" && pwd)
sums=$here/SHA256SUMS
downloads=$dest/downloads

fail() {
	echo "fetch.sh: $1" >&2
	exit 1
}

# True when the tarballs are there and are the ones that are pinned.
have() {
	(cd "$downloads" && sha256sum --check --status "$sums") 2>/dev/null
}

if [ -f "$dest/stamp" ] && cmp -s "$dest/stamp" "$sums"; then
	exit 0
fi
for tool in apt-get tar xz sha256sum awk; do
	command -v $tool >/dev/null ||
		fail "$tool is missing: apt-get install apt tar xz-utils coreutils mawk"
done
mkdir -p "$downloads"

# Debian's own entries of this machine's sources, as source entries.
sources() {
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	[ -n "$codename" ] || fail "/etc/os-release has no VERSION_CODENAME: is this Debian?"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -f "$file" ] || continue
		awk -v codename="$codename" '
			$1 != "deb" && $1 != "deb-src" { next }
			{
				line = $0
				options = ""
				if (match(line, /\[[^]]*\]/)) {
					options = substr(line, RSTART, RLENGTH) " "
					line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
				}
				sub(/#.*/, "", line)
				n = split(line, word, " ")
				main = 0
				for (i = 4; i <= n; i++) if (word[i] == "main") main = 1
				if (main && word[2] ~ /debian/ && index(word[3], codename) == 1)
					print "deb-src " options word[2] " " word[3] " main"
			}' "$file" >>"$1/00-lines.list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -f "$file" ] || continue
		awk -v codename="$codename" 'BEGIN { RS = ""; FS = "\n" }
			{
				debian = suite = main = off = 0
				text = ""
				for (i = 1; i <= NF; i++) {
					if ($i ~ /^#/) continue
					low = tolower($i)
					if (low ~ /^uris:.*debian/) debian = 1
					if (low ~ "^suites:.*[ \t]" codename) suite = 1
					if (low ~ /^components:.*[ \t]main([ \t]|$)/) main = 1
					if (low ~ /^enabled:[ \t]*(no|false|off|0)/) off = 1
					if (low ~ /^types:/) $i = "Types: deb-src"
					text = text $i "\n"
				}
				if (debian && suite && main && !off) print text
			}' "$file" >"$1/$(basename "$file")"
	done
	[ -n "$(find "$1" -type f -size +0)" ] ||
		fail "no Debian $codename entry in /etc/apt/sources.list or sources.list.d"
}

download() {
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial" "$work/get"
	sources "$work/sources"
	# The sandbox user of apt could not enter a private folder.
	apt="apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$work/sources
		-o Dir::State::lists=$work/lists -o Dir::Cache=$work/cache
		-o APT::Sandbox::User=$(id -un) -o Acquire::Languages=none -o Acquire::Retries=3"
	echo "fetching the sources of lwIP and BearSSL from this machine's Debian archive"
	$apt update >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "apt-get update failed"; }
	(cd "$work/get" && $apt source --download-only lwip bearssl) >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; fail "apt-get source failed"; }
	while read -r sum name; do
		[ -f "$work/get/$name" ] ||
			fail "the archive has no $name but $(ls "$work/get" | tr '\n' ' '): Debian 12 is needed"
		echo "$sum  $work/get/$name" | sha256sum --check --status ||
			fail "$name has another checksum than the pinned $sum"
		mv "$work/get/$name" "$downloads/$name"
	done <"$sums"
}

have || download
have || fail "the tarballs in $downloads are not the pinned ones: remove them and try again"

for name in lwip bearssl; do
	rm -rf "$dest/$name" "$dest/$name.part"
	mkdir "$dest/$name.part"
	tar -xJf "$downloads/$name"_*.orig.tar.xz -C "$dest/$name.part" --strip-components=1
	mv "$dest/$name.part" "$dest/$name"
done
cp "$sums" "$dest/stamp"

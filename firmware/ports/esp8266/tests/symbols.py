#!/usr/bin/env python3
"""Holds an object's undefined symbols against a list: symbols.py NM OBJECT LIST

The list has the owner of each: a line "# NAME" and the symbols under it.
"""

import subprocess
import sys


def main(nm, linked, listed):
    undefined = subprocess.run(
        [nm, "--undefined-only", "--demangle", linked], capture_output=True, text=True, check=True
    )
    wanted = {line.strip().split(" ", 1)[1] for line in undefined.stdout.splitlines()}
    with open(listed, encoding="ascii") as file:
        there = {line.strip() for line in file if line.strip() and not line.startswith("#")}
    for symbol in sorted(wanted - there):
        print(f"{linked} wants {symbol}, which {listed} does not have", file=sys.stderr)
    for symbol in sorted(there - wanted):
        print(f"{listed} has {symbol}, which nothing wants", file=sys.stderr)
    if wanted != there:
        sys.exit(1)
    print(f"{linked}: all of its {len(wanted)} undefined symbols are known")


if __name__ == "__main__":
    main(*sys.argv[1:])

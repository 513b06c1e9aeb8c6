#!/usr/bin/env python3
"""Writes the build id into a C header, and touches it only when it changes.

    build_id.py OUT TEXT FILE...

The id is the first 16 hex digits of the SHA-256 over TEXT (compiler flags,
fault) and all FILEs with their names, so whatever makes another image makes
another id.
"""

import hashlib
import os
import sys


def main():
    out, text, files = sys.argv[1], sys.argv[2], sorted(set(sys.argv[3:]))
    digest = hashlib.sha256()
    digest.update(text.encode() + b"\0")
    for name in files:
        with open(name, "rb") as file:
            content = file.read()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    header = f'#define HILRIG_BUILD_ID "{digest.hexdigest()[:16]}"\n'
    if os.path.exists(out):
        with open(out, encoding="ascii") as file:
            if file.read() == header:
                return
    with open(out, "w", encoding="ascii") as file:
        file.write(header)


if __name__ == "__main__":
    main()

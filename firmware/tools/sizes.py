#!/usr/bin/env python3
"""Prints what the firmware takes of each memory: sizes.py firmware.elf firmware.bin"""

import os
import sys

from elf import Elf


def main():
    elf = Elf(sys.argv[1])
    symbol = elf.symbols
    taken = {"data": 0, "bss": 0, "iram": 0, "irom": 0}
    for address, content, size in elf.segments:
        if 0x3FFE8000 <= address < 0x3FFFC000:
            taken["data" if content else "bss"] += size
        elif address < 0x60000000:  # not the image's that keeps callers
            taken["iram" if address < 0x40200000 else "irom"] += size
    heap = symbol["_heap_end"] - symbol["_heap_start"]
    rows = [
        ("data memory", "initialised", taken["data"], None),
        ("", "zeroed", taken["bss"], None),
        ("", "kept for the SDK", symbol["_sdk_reserve"], None),
        ("", "heap", heap, None),
        ("", "all", 81920, 81920),
        ("IRAM", "code", taken["iram"], 32768),
        ("mapped flash", "code, constants", taken["irom"], 0xF0000),
        ("firmware.bin", "", os.path.getsize(sys.argv[2]), 0x100000),
    ]
    for place, what, size, of in rows:
        share = f" of {of:>7}" if of else ""
        print(f"{place:<13} {what:<17} {size:>7}{share}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Turns the firmware's ELF file into one file to be flashed at 0.

    elf2image.py firmware.elf firmware.bin

It is what esptool makes of such an ELF in two files (an ESP8266 image of
version 1, and the mapped code) with 0xFF between: the image with the segments
for data memory and IRAM at 0, `.irom0.text` at 0x10000. The same ELF gives the
same bytes.
"""

import struct
import sys

from elf import Elf

MAGIC = 0xE9
CHECKSUM_SEED = 0xEF
MODE_DIO = 2
SIZE_4MB_SPEED_40MHZ = 0x40
IROM = (0x40200000, 0x40300000)  # flash offset 0 and up, as the chip maps it
LOADABLE = ((0x3FFE8000, 0x3FFFC000), (0x40100000, 0x40108000))
IROM_OFFSET = 0x10000


def inside(address, size, window):
    return window[0] <= address and address + size <= window[1]


def image(elf):
    """The part that the ROM loads: header, segments, checksum."""
    segments = []
    for address, content, _ in elf.segments:
        if not content or inside(address, len(content), IROM):
            continue
        if not any(inside(address, len(content), window) for window in LOADABLE):
            raise SystemExit(f"a segment at {address:#x} fits no memory of the chip")
        segments.append((address, content + bytes(-len(content) % 4)))
    out = bytearray(
        struct.pack("<BBBBI", MAGIC, len(segments), MODE_DIO, SIZE_4MB_SPEED_40MHZ, elf.entry)
    )
    checksum = CHECKSUM_SEED
    for address, content in segments:
        out += struct.pack("<II", address, len(content)) + content
        for byte in content:
            checksum ^= byte
    out += bytes(-(len(out) + 1) % 16)  # the checksum ends a multiple of 16
    out.append(checksum)
    return out


def flat(elf):
    out = image(elf)
    if len(out) > IROM_OFFSET:
        raise SystemExit(f"the loaded part has {len(out)} bytes, {IROM_OFFSET} are there")
    mapped = [
        (address - IROM[0], content)
        for address, content, _ in elf.segments
        if content and inside(address, len(content), IROM)
    ]
    for offset, content in sorted(mapped):
        if offset < max(len(out), IROM_OFFSET):
            raise SystemExit(f"mapped code at flash offset {offset:#x} overlaps what is below")
        out += b"\xff" * (offset - len(out)) + content
    return out


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    out = flat(Elf(sys.argv[1]))
    with open(sys.argv[2], "wb") as file:
        file.write(out)


if __name__ == "__main__":
    main()

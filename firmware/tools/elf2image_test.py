#!/usr/bin/env python3
"""elf2image.py against ELF files made here, field by field."""

import os
import struct
import tempfile
import unittest

import elf2image
from elf import Elf


def elf_file(segments, entry=0x40100004, machine=94):
    """An executable with nothing but program headers; `segments` are
    (address, bytes) or (address, bytes, size in memory)."""
    offset = 52 + 32 * len(segments)
    headers = body = b""
    for address, content, *size in segments:
        headers += struct.pack(
            "<IIIIIIII", 1, offset + len(body), address, address, len(content),
            size[0] if size else len(content), 5, 4,
        )
        body += content
    head = b"\x7fELF\x01\x01\x01" + bytes(9)
    head += struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, entry, 52, 0, 0, 52, 32, len(segments), 40, 0, 0)
    return head + headers + body


def flat(*arguments, **names):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "elf")
        with open(path, "wb") as file:
            file.write(elf_file(*arguments, **names))
        return bytes(elf2image.flat(Elf(path)))


class Elf2Image(unittest.TestCase):
    def test_layout(self):
        out = flat([(0x3FFE8000, b"data!"), (0x40100000, b"code"), (0x40210000, b"mapped")])
        self.assertEqual(out[:8], struct.pack("<BBBBI", 0xE9, 2, 2, 0x40, 0x40100004))
        self.assertEqual(out[8:24], struct.pack("<II", 0x3FFE8000, 8) + b"data!\0\0\0")
        self.assertEqual(out[24:36], struct.pack("<II", 0x40100000, 4) + b"code")
        self.assertEqual(out[36:47], bytes(11))
        checksum = 0xEF
        for byte in b"data!code":
            checksum ^= byte
        self.assertEqual(out[47], checksum)
        self.assertEqual(out[48:0x10000], b"\xff" * (0x10000 - 48))
        self.assertEqual(out[0x10000:], b"mapped")

    def test_checksum_ends_a_multiple_of_16(self):
        for length in range(4, 64, 4):
            out = flat([(0x40100000, bytes([0x5A]) + bytes(length - 1))])
            self.assertEqual(len(out) % 16, 0)
            self.assertEqual(out[-1], 0xEF ^ 0x5A)

    def test_memory_without_content_is_not_loaded(self):
        self.assertEqual(flat([(0x3FFE8000, b"", 100), (0x40100000, b"code")])[1], 1)

    def test_refused(self):
        for name, segments in (
            ("outside", [(0x20000000, b"x")]),
            ("over the end of data memory", [(0x3FFFBFFE, b"four")]),
            ("over the loaded part", [(0x40100000, b"code"), (0x40201000, b"mapped")]),
            ("overlapping", [(0x40210000, b"12345678"), (0x40210004, b"x")]),
            ("too large", [(0x3FFE8000, bytes(0xF000)), (0x40100000, bytes(0x2000))]),
        ):
            with self.subTest(name), self.assertRaises(SystemExit):
                flat(segments)
        with self.assertRaises(SystemExit):
            flat([(0x40100000, b"code")], machine=62)


if __name__ == "__main__":
    unittest.main()

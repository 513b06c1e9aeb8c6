"""As much of the ELF format as the tools here need: 32-bit, little-endian.

Fields and numbers are those of the System V ABI, chapters 4 and 5.
"""

import struct

PT_LOAD = 1
SHT_SYMTAB = 2
EM_XTENSA = 94


class Elf:
    """Entry, loadable segments and symbols of an Xtensa executable."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:6] != b"\x7fELF\x01\x01":
            raise SystemExit(f"{path}: no 32-bit little-endian ELF file")
        head = struct.unpack_from("<HHIIIIIHHHHHH", self.data, 16)
        if head[1] != EM_XTENSA:
            raise SystemExit(f"{path}: machine {head[1]}, not Xtensa ({EM_XTENSA})")
        self.entry = head[3]
        self.segments = []  # (address, bytes in the file, size in memory)
        for n in range(head[9]):
            kind, offset, address, _, filled, size, _, _ = struct.unpack_from(
                "<IIIIIIII", self.data, head[4] + n * head[8]
            )
            if kind == PT_LOAD and size > 0:
                self.segments.append((address, self.data[offset : offset + filled], size))
        self.symbols = self._symbols(head[5], head[10], head[11])

    def _symbols(self, table, entry_size, count):
        sections = [
            struct.unpack_from("<IIIIIIIIII", self.data, table + n * entry_size)
            for n in range(count)
        ]
        found = {}
        for section in sections:
            if section[1] != SHT_SYMTAB:
                continue
            names = sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 16):
                name, value = struct.unpack_from("<II", self.data, at)
                start = names + name
                found[self.data[start : self.data.index(b"\0", start)].decode()] = value
        return found

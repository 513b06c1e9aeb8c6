"""The ESP8266's ROM loader, spoken to by a client that does nothing else: what hilrig's flashing is held against.

    python3 flash_client.py PORT IMAGE

The board on PORT waits in its loader. Prints the seconds of the write phase, from the first block to the last one's answer.
"""

import os
import struct
import sys
import termios
import time
import tty

FLASH_BEGIN, FLASH_DATA, SYNC = 0x02, 0x03, 0x08
BLOCK, SECTOR = 0x400, 0x1000


class Client:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        termios.tcflush(self.fd, termios.TCIFLUSH)
        self.rest = b""

    def reply(self, op):
        while True:
            start = self.rest.find(b"\xc0\x01")
            end = self.rest.find(b"\xc0", start + 1) if start >= 0 else -1
            if end < 0:
                self.rest += os.read(self.fd, 4096)
                continue
            frame, self.rest = self.rest[start + 1 : end], self.rest[end + 1 :]
            frame = frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
            if frame[1] == op:
                if frame[8]:
                    sys.exit(f"command {op:#x} was refused: {frame[8:].hex()}")
                return

    def command(self, op, data, checksum=0):
        frame = struct.pack("<BBHI", 0, op, len(data), checksum) + data
        frame = frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        frame = b"\xc0" + frame + b"\xc0"
        while frame:
            frame = frame[os.write(self.fd, frame) :]
        self.reply(op)


def checksum(block):
    total = 0xEF
    for byte in block:
        total ^= byte
    return total


def main(port, path):
    with open(path, "rb") as file:
        image = file.read()
    client = Client(port)
    client.command(SYNC, b"\x07\x07\x12\x20" + b"\x55" * 32)
    blocks = [image[at : at + BLOCK].ljust(BLOCK, b"\xff") for at in range(0, len(image), BLOCK)]
    # The ROM erases the sectors of the first 64 KiB twice over, so fewer are asked for.
    sectors = -(-len(image) // SECTOR)
    asked = -(-sectors // 2) if sectors < 32 else sectors - 16
    client.command(FLASH_BEGIN, struct.pack("<IIII", asked * SECTOR, len(blocks), BLOCK, 0))
    start = time.monotonic()
    for number, block in enumerate(blocks):
        head = struct.pack("<IIII", len(block), number, 0, 0)
        client.command(FLASH_DATA, head + block, checksum(block))
    print(time.monotonic() - start)


main(sys.argv[1], sys.argv[2])

#!/usr/bin/env python3
"""What a TLS handshake takes of the heap, measured on the virtual board: handshake.py VIRTUAL RECORD OUT

VIRTUAL is the folder of the virtual board's image; RECORD the largest record (tls_mfl). OUT gets the bytes
between the heap at the start of the board and the lowest figure of the handshake: the mode's state, lwIP,
and all that TLS takes.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../virtual/tests"))
sys.path.append(os.path.join(os.path.dirname(__file__), "../../common/tests"))
sys.path.append(os.path.join(os.path.dirname(__file__), "../../../tools"))
from board import Board  # noqa: E402
import firmware  # noqa: E402
from elf import Elf  # noqa: E402

VIRTUAL, RECORD, OUT = sys.argv[1:4]
MAC = bytes.fromhex(firmware.MAC)


class Handshake(firmware.Firmware, unittest.TestCase):
    def start_board(self):
        with open(f"{VIRTUAL}/firmware.bin", "rb") as file:
            image = file.read()
        return Board(f"{VIRTUAL}/bootrom.elf", image, b"HRID" + MAC + bytes(2) + os.urandom(32) + bytes(20))

    def test_measure(self):
        symbol = Elf(f"{VIRTUAL}/firmware.elf").symbols
        self.store_ca("ec256")
        self.to_mqtt(self.broker("broker"), tls_mfl=RECORD)
        self.board.expect(r"Attempting MQTT connection\.\.\.connected\r\n")
        shake = self.board.expect("Heap handshake: " + firmware.HEAP)
        taken = symbol["_heap_end"] - symbol["_heap_start"] - int(shake[2])
        with open(OUT, "w", encoding="ascii") as file:
            file.write(f"{taken}\n")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "Handshake.test_measure"])

#!/usr/bin/env python3
"""The firmware on the LM3S6965 against a real Mosquitto: test_core.py BUILD

BUILD holds lm3s6965/ and lm3s6965-faults/BOOT_LOOP/.
"""

import os
import subprocess
import sys
import unittest

from board import Board
import firmware

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build"
FIRMWARE = os.path.join(BUILD, "lm3s6965/firmware.elf")
BOOT_LOOP = os.path.join(BUILD, "lm3s6965-faults/BOOT_LOOP/firmware.elf")


class OnQemu(firmware.Firmware, unittest.TestCase):
    device = "LM3S6965"
    free_at_boot = 50000
    free_in_handshake = 25000
    free_in_small_handshake = 38000
    analog = range(100, 900, 100)

    def start_board(self):
        return Board(FIRMWARE)

    def test_the_chips_own_name(self):
        self.assertIn(b"\r\nLM3S6965 IP: 10.0.2.15\r\nLM3S6965 WebServer Port: 9705\r\n", self.board.log)
        self.assertIn("<h1>LM3S6965 configuration</h1>", self.http("/config"))
        self.assertEqual(self.http("/?request=Reset"), "LM3S6965 is restarting")
        self.assertNotIn(b"ESP8266", self.board.log)


class Crash(unittest.TestCase):
    def test_write_through_null(self):
        """As the rig sees it: text, a reset, the same again."""
        with Board(BOOT_LOOP) as board:
            for _ in range(2):
                board.expect("Build: ")
                fault = r"HardFault: CFSR=0x00000082 at 0x00000000 pc=0x([0-9a-f]{8}) "
                pc = board.expect(fault)[1].decode()
        found = subprocess.run(
            ["arm-none-eabi-addr2line", "-f", "-e", BOOT_LOOP, pc],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.assertIn("core/fault.c:", found)


if __name__ == "__main__":
    firmware.main(("qemu-system-arm", "qemu-system-arm"))

#!/usr/bin/env python3
"""The virtual port and its boot ROM on QEMU: test_port.py BUILD

BUILD holds bootrom.elf and a firmware.bin with probe.c in the core's place.
"""

import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
import unittest

from board import DEADLINE, Board
import contract

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build/probe"
ROM = os.path.join(BUILD, "bootrom.elf")
with open(os.path.join(BUILD, "firmware.bin"), "rb") as firmware:
    IMAGE = firmware.read()
SEED = int(os.environ.get("SEED", "20120108"))


def identity(seed=b"\x01" * 32):
    return b"HRID" + bytes([0x18, 0xFE, 0x34, 0xA2, 0x66, 0x29, 0, 0]) + seed + bytes(20)


class Boot(unittest.TestCase):
    """What the boot ROM makes of good and bad flash."""

    def stops(self, image, text):
        with Board(ROM, bytes(image)) as board:
            board.expect(r"rst cause:1, boot mode:\(3,6\)\r\n\r\n")
            board.expect(text)
            board.expect(r"ets_main.c ")
            before = board.cpu_seconds()
            time.sleep(0.3)  # the time over which the processor must be idle
            self.assertLess(board.cpu_seconds() - before, 0.1, "the board does not sleep")
            self.assertNotIn(b"probe", board.log)

    def changed(self, form, offset, value):
        image = bytearray(IMAGE)
        struct.pack_into(form, image, offset, value)
        return image

    def test_good_image(self):
        with Board(ROM, IMAGE, identity()) as board:
            board.expect(
                r" ets Jan  8 2013,rst cause:1, boot mode:\(3,6\)\r\n\r\n"
                r"load 0x3ffe8000, len \d+, room 16 \r\ntail \d+\r\nchksum 0x..\r\n"
                r"load 0x40100000, len \d+, room \d+ \r\ntail \d+\r\nchksum 0x(..)\r\n"
                r"csum 0x\1\r\n~ld\r\n"
            )
            build = board.expect(r"probe ([0-9a-f]{16}) mac 6629")[1]
            self.assertIn(b"HILRIG_BUILD=" + build + b"\0", IMAGE)
            board.expect("reason 0")

    def test_blank_flash(self):
        self.stops(b"", "")

    def test_wrong_magic(self):
        self.stops(self.changed("B", 0, 0xEA), "")

    def test_no_segments(self):
        self.stops(self.changed("B", 1, 0), "")

    def test_too_many_segments(self):
        self.stops(self.changed("B", 1, 255), "")

    def test_wrong_checksum(self):
        self.stops(self.changed("B", 20, IMAGE[20] ^ 1), r"csum 0x..\r\ncsum err\r\n")

    def test_cut_off(self):
        self.stops(IMAGE[:600], r"csum err\r\n")

    def test_entry_that_was_not_loaded(self):
        self.stops(self.changed("<I", 4, 0x40000000), r"csum 0x..\r\n")

    def test_segment_outside_memory(self):
        for address in (0x9D020010, 0x40000000, 0x3FFFBFFC, 0x40107FFC, 0):
            with self.subTest(hex(address)):
                self.stops(self.changed("<I", 8, address), "")

    def test_segment_of_absurd_length(self):
        for length in (0xFFFFFFFC, 0x100000, 0x13):
            with self.subTest(hex(length)):
                self.stops(self.changed("<I", 12, length), "")

    def test_mapped_code_missing(self):
        with Board(ROM, IMAGE[:0x10000]) as board:
            board.expect(r"Exception \(0\):\r\nepc1=0x402")
            board.expect("<<<stack<<<")
            board.expect("rst cause:2")


class Reset(contract.Reset, unittest.TestCase):
    rom = "rst cause:{cause}"

    def start(self):
        return Board(ROM, IMAGE, identity())

    stack = "sp: 3fff.{4} end: 3ffffff0"

    def test_exceptions(self):
        for how, number in (
            ("illegal", 0),
            ("divide", 6),
            ("unaligned", 9),
            ("jump", 20),
            ("read", 28),
            ("write", 29),
        ):
            with self.subTest(how):
                registers = "".join(
                    rf"{name}=0x[0-9a-f]{{8}}{after}"
                    for name, after in zip(
                        ("epc1", "epc2", "epc3", "excvaddr", "depc"), (" ", " ", " ", " ", r"\r\n")
                    )
                )
                self.crash(how, rf"Exception \({number}\):\r\n" + registers)

    def test_address_of_the_fault(self):
        self.crash("write", r"Exception \(29\):.*\r\nepc1=0x402.* excvaddr=0x00000008 ")

    def test_stack_overflow(self):
        self.crash("stack", r"Stack overflow detected\r\n")

    def test_panic(self):
        self.crash("panic", r"Panic asked for\r\n")

    def test_heap_misuse(self):
        log = self.crash("heap", r"Panic heap corrupt\r\n")
        self.assertRegex(log, rb"last failed alloc call: 402[0-9a-f]{5}\(99999\)\r\n")

class Contract(contract.Contract, unittest.TestCase):
    measured_seconds = 2
    cpu_share = 0.1

    @classmethod
    def start(cls):
        return Board(ROM, IMAGE, identity())

    def test_arithmetic(self):
        """The helpers that Debian's libgcc lacks, against Python."""

        def signed(value, bits):
            return value - (1 << bits) if value >> (bits - 1) else value

        def divide(a, b, bits):  # as C does: towards zero
            a, b = signed(a, bits), signed(b, bits)
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return quotient % (1 << bits), (a - quotient * b) % (1 << bits)

        numbers = random.Random(SEED)
        edges = [1, 2, 3, 10, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
        edges += [edge << 32 | edge for edge in edges] + [1 << 63 | 1, 0x7FFFFFFF00000001]
        pairs = [(a, b) for a in edges for b in edges[::3] if b & 0xFFFFFFFF]
        for _ in range(300):
            a = numbers.getrandbits(numbers.randint(1, 64))
            b = numbers.getrandbits(numbers.randint(1, 64)) | 1
            pairs.append((a, b))
        for a, b in pairs:
            x, y = a & 0xFFFFFFFF, b & 0xFFFFFFFF
            want = [x // y, x % y, *divide(x, y, 32), x * y, a * b % (1 << 64)]
            want += [a // b, a % b, *divide(a, b, 64)]
            got = self.board.ask(f"arithmetic {a >> 32:x} {x:x} {b >> 32:x} {y:x}")
            self.assertEqual([int(word, 16) for word in got.split()], want, f"{a:#x} {b:#x}")

    def test_flash_clears_bits_only(self):
        ask = self.board.ask
        self.assertEqual(ask("slot erase 1 0 0")[0], "1")
        self.assertEqual(ask("slot read 1 64 0"), "1 ff ff")
        self.assertEqual(ask("slot write 1 64 f3")[0], "1")
        self.assertEqual(ask("slot write 1 64 33")[0], "1")
        # Bits that would have to be set again: refused, and what the chip has left.
        self.assertEqual(ask("slot write 1 64 cf")[0], "0")
        self.assertEqual(ask("slot read 1 64 0"), "1 03 03")
        self.assertEqual(ask("slot read 1 0 0"), "1 ff ff")
        self.assertEqual(ask("slot erase 1 0 0")[0], "1")
        self.assertEqual(ask("slot read 1 64 0"), "1 ff ff")

    def test_led(self):
        for value in (1, 0):
            self.board.ask(f"led {value}")
            word = self.board.qmp("human-monitor-command", **{"command-line": "xp /1xw 0x9d020008"})
            self.assertEqual(int(word.split()[-1], 16) & 1, value)

    def test_a_peer_that_trickles_is_served_in_turn(self):
        """Byte by byte into a connection that waits for another one.

        A byte that was refused comes again after a second at the earliest, each time; a machine that
        was busy elsewhere is not so five times in a row.
        """

        def answered_after():
            held = self.board.send("led 0")
            with socket.create_connection(("127.0.0.1", self.board.port), DEADLINE) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for _ in range(60):
                    peer.sendall(b"x")
                    time.sleep(0.002)  # so that each travels alone
                peer.sendall(b"\n")
                held.close()
                start = time.monotonic()
                self.assertEqual(peer.recv(100), b"what?\n")
                return time.monotonic() - start

        self.assertTrue(any(answered_after() < 0.9 for _ in range(5)), "refused bytes")

class Randomness(unittest.TestCase):
    def test_no_identity_no_randomness(self):
        with Board(ROM, IMAGE) as board:
            board.expect("mac 0001")
            board.expect("ready")
            self.assertEqual(board.ask("random"), "0 0000000000000000")

    def test_no_two_starts_alike(self):
        with Board(ROM, IMAGE, identity()) as board:
            seen = set()
            for _ in range(3):
                board.expect("ready")
                for _ in range(2):
                    good, value = board.ask("random").split()
                    self.assertEqual(good, "1")
                    seen.add(value)
                board.send("reset").close()
            self.assertEqual(len(seen), 6)


class Serial(unittest.TestCase):
    def test_a_line_that_nobody_reads_does_not_stop_the_board(self):
        """80 KB into a pipe that holds 64 KiB at most and is read afterwards."""
        with Board(ROM, IMAGE, identity(), listen=False) as board:
            pipe, log = board.process.stdout.fileno(), b""
            while b"ready" not in log:
                self.assertTrue(select.select([pipe], [], [], DEADLINE)[0], log)
                log += os.read(pipe, 4096)
            self.assertEqual(board.ask("flood"), "flooded")
            self.assertEqual(board.ask("led 1"), "ok")
            self.assertLess(len(os.read(pipe, 1 << 20)), 80000)
            # Read again, the line works again.
            board.send("reset").close()
            log = b""
            while b"rst cause:2" not in log:
                self.assertTrue(select.select([pipe], [], [], DEADLINE)[0], log[-500:])
                log += os.read(pipe, 4096)


if __name__ == "__main__":
    if subprocess.run(["qemu-system-xtensa", "--version"], capture_output=True).returncode:
        sys.exit("qemu-system-xtensa does not run: apt-get install qemu-system-misc")
    print(f"seed {SEED} (set SEED to change it)")
    unittest.main()

#!/usr/bin/env python3
"""The LM3S6965 port on QEMU: test_port.py BUILD

BUILD holds lm3s6965-probe/, an image with probe.c in the core's place, and
lm3s6965/ and lm3s6965-faults/BOOT_LOOP/, the firmware, which test_core.py tests.
"""

import os
import re
import socket
import struct
import subprocess
import sys
import time
import unittest

from board import DEADLINE, EEPROM_SIZE, Board
import contract
from debugger import Debugger

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build"
PROBE = os.path.join(BUILD, "lm3s6965-probe/firmware.elf")


class Boot(unittest.TestCase):
    def test_serial_line(self):
        with Board(PROBE) as board:
            build = board.expect(r"probe ([0-9a-f]{16}) mac 6629\r\n")[1]
            board.expect("reason 0\r\n")
            with open(PROBE.replace(".elf", ".bin"), "rb") as file:
                self.assertIn(b"HILRIG_BUILD=" + build + b"\0", file.read())
            board.expect("ready at ")


class Reset(contract.Reset, unittest.TestCase):
    def start(self):
        return Board(PROBE)

    stack = "sp: 2000.{4} end: 20010000"

    def test_faults(self):
        for how, cfsr, at in (
            ("illegal", "00010000", "0000...."),
            ("divide", "02000000", "0000...."),
            ("jump", "00020000", "00000000"),
            ("read", "00000082", "10000000"),
            ("write", "00000082", "00000008"),
            ("unaligned", "00000082", "10000001"),
        ):
            with self.subTest(how):
                self.crash(
                    how,
                    rf"HardFault: CFSR=0x{cfsr} at 0x{at} pc=0x0000[0-9a-f]{{4}} lr=0x[0-9a-f]{{8}}\r\n"
                    r"r4=0x[0-9a-f]{8} r5=.* r11=0x[0-9a-f]{8}\r\n",
                )

    def test_stack_overflow(self):
        self.crash("stack", r"Stack overflow detected\r\nHardFault: CFSR=0x[0-9a-f]{8} at 0x2000e3")

    def test_panic(self):
        self.crash("panic", r"Panic asked for\r\n")

    def test_heap_misuse(self):
        log = self.crash("heap", r"Panic heap corrupt\r\n")
        self.assertRegex(log, rb"last failed alloc call: 0000[0-9a-f]{4}\(99999\)\r\n")

class Contract(contract.Contract, unittest.TestCase):
    measured_seconds = 6  # the counter wraps in it
    cpu_share = 0.05

    @classmethod
    def start(cls):
        return Board(PROBE)

    def test_slots(self):
        ask = self.board.ask
        for slot in (0, 1):
            self.assertEqual(ask(f"slot erase {slot} 0 0")[0], "1")
            # Across pages of the EEPROM, up to the slot's last byte.
            for offset in (0, 36, 4032):
                self.assertEqual(ask(f"slot write {slot} {offset} f{slot}")[0], "1")
                self.assertEqual(ask(f"slot read {slot} {offset} 0"), f"1 f{slot} f{slot}")
        self.assertEqual(ask("slot read 0 0 0"), "1 f0 f0")
        with open(f"{self.board.path}/eeprom", "rb") as file:
            content = file.read()
        self.assertEqual(len(content), EEPROM_SIZE)
        for slot in (0, 1):
            start = slot * 4096
            written = bytes([0xF0 + slot]) * 64
            self.assertEqual(content[start + 36 : start + 100], written)
            self.assertEqual(content[start + 4032 : start + 4096], written)
            self.assertEqual(content[start + 100 : start + 4032], b"\xff" * 3932)
            self.assertEqual(ask(f"slot erase {slot} 0 0")[0], "1")
            self.assertEqual(ask(f"slot read {slot} 4032 0"), "1 ff ff")

    def test_arithmetic(self):
        got = self.board.ask("arithmetic ffffffff fffffff9 0 2").split()
        want = [0x7FFFFFFC, 1, 0xFFFFFFFD, 0xFFFFFFFF, 0x1FFFFFFF2, 2**64 - 14]
        want += [0x7FFFFFFFFFFFFFFC, 1, 2**64 - 3, 2**64 - 1]
        self.assertEqual([int(word, 16) for word in got], want)

    def test_led(self):
        for value in (1, 0):
            self.board.ask(f"led {value}")
            # All pins of port F.
            word = self.board.qmp("human-monitor-command", **{"command-line": "xp /1xw 0x400253fc"})
            self.assertEqual(int(word.split()[-1], 16) & 1, value)

    def test_frames_of_every_length(self):
        """Each length of the first piece ends at another byte of the FIFO's words."""
        for length in list(range(1, 9)) + list(range(60, 70)):
            with socket.create_connection(("127.0.0.1", self.board.port), DEADLINE) as peer:
                peer.sendall(b"x" * length + b"\n")
                self.assertEqual(peer.recv(100), b"what?\n", length)


class Sleep(unittest.TestCase):
    """A frame that comes in the few instructions before the processor sleeps must end that sleep.

    The board is stopped there, the frame is sent, and QEMU hands it over before the board goes on.
    """

    # NVIC: interrupts 32 to 63 that are enabled, and that are pending.
    ENABLED, PENDING = 0xE000E104, 0xE000E204
    ETHERNET = 1 << (42 - 32)

    @classmethod
    def setUpClass(cls):
        code = subprocess.run(
            ["arm-none-eabi-objdump", "-d", "--disassemble=clock_sleep", PROBE],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

        def places(instruction):
            return [int(at, 16) for at in re.findall(rf"^ *([0-9a-f]+):.*\t{instruction}", code, re.M)]

        cls.wake_on, cls.wake_off = places("bl\t.*<eth_wake>")
        (cls.barrier,), (cls.sleep,) = places("dsb"), places("wfi")

    def setUp(self):
        self.board = Board(PROBE)
        self.addCleanup(self.board.__exit__)
        self.board.expect("ready")
        self.peer = self.board.send("led 0")
        self.addCleanup(self.peer.close)
        self.assertEqual(self.peer.recv(100), b"ok\n")

    def send(self):
        """When this returns, QEMU has the frame."""
        self.peer.sendall(b"led 0\n")
        # It serves the network and these in one loop.
        for _ in range(2):
            self.board.qmp("query-status")

    def test_before_the_interrupt_is_let_through(self):
        with Debugger(f"{self.board.path}/gdb") as debugger:
            self.assertEqual(debugger.run_to(self.wake_on), self.wake_on)
            self.send()
            self.assertEqual(debugger.run_to(self.sleep, self.wake_off), self.wake_off, "it sleeps")
        self.assertEqual(self.peer.recv(100), b"ok\n")

    def ends_a_sleep(self, debugger):
        return debugger.read(self.ENABLED) & debugger.read(self.PENDING) & self.ETHERNET != 0

    def test_after_it_was_looked_for(self):
        with Debugger(f"{self.board.path}/gdb") as debugger:
            self.assertEqual(debugger.run_to(self.barrier), self.barrier)
            while self.ends_a_sleep(debugger):  # something else came; not this time
                self.assertEqual(debugger.run_to(self.barrier), self.barrier)
            self.send()
            self.assertEqual(debugger.step(), self.sleep)
            self.assertTrue(self.ends_a_sleep(debugger), "it sleeps on")
        self.assertEqual(self.peer.recv(100), b"ok\n")


class Randomness(unittest.TestCase):
    def test_no_seed_no_randomness(self):
        for more in ({"seed": False}, {"eeprom": False}):
            with self.subTest(more), Board(PROBE, **more) as board:
                board.expect("ready")
                self.assertEqual(board.ask("random"), "0 0000000000000000")

    def test_without_eeprom_no_slots(self):
        with Board(PROBE, eeprom=False) as board:
            board.expect("ready")
            for command in ("read", "write", "erase"):
                self.assertEqual(board.ask(f"slot {command} 0 0 0")[0], "0")

    def test_no_two_starts_alike(self):
        with Board(PROBE) as board:
            seen, seeds = set(), set()
            for again in range(4):
                board.expect("ready")
                seeds.add(board.seed())
                for _ in range(2):
                    good, value = board.ask("random").split()
                    self.assertEqual(good, "1")
                    seen.add(value)
                if again == 1:  # a power cycle between resets
                    board.stop()
                    board.start()
                else:
                    board.send("reset").close()
            self.assertEqual(len(seen), 8)
            self.assertEqual(len(seeds), 4)


class Memory:
    """The board's memory while it runs, as a debug probe has it: QEMU's qtest."""

    def __init__(self, test, board):
        connection = socket.socket(socket.AF_UNIX)
        test.addCleanup(connection.close)
        connection.connect(f"{board.path}/qtest")
        self.lines = connection.makefile("rw")
        test.addCleanup(self.lines.close)

    def ask(self, command):
        self.lines.write(command + "\n")
        self.lines.flush()
        return self.lines.readline().removeprefix("OK").strip()

    def read(self, address, size):
        return bytes.fromhex(self.ask(f"read {address:#x} {size:#x}")[2:])

    def words(self, address, count):
        return struct.unpack(f"<{count}I", self.read(address, 4 * count))


class Probe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        names = subprocess.run(
            ["arm-none-eabi-nm", PROBE], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        cls.block = int(next(line for line in names if line.endswith(" _SEGGER_RTT")).split()[0], 16)

    def test_control_block(self):
        with Board(PROBE) as board:
            board.expect("ready at .*\r\n")
            memory = Memory(self, board)
            self.assertEqual(memory.read(self.block, 16), b"SEGGER RTT".ljust(16, b"\0"))
            up, down, _name, ring, size, write, read, _flags = memory.words(self.block + 16, 8)
            self.assertEqual((up, down, size, read), (1, 0, 1024, 0))
            self.assertEqual(memory.read(ring, write), board.log)

    def test_a_crash_reaches_the_probe_whole(self):
        """More text than the ring holds, and then a reset that empties it."""
        with Board(PROBE) as board:
            board.expect("ready at .*\r\n")
            memory, text, deadline = Memory(self, board), b"", time.monotonic() + DEADLINE
            board.send("crash stack").close()
            end = b"<<<stack<<<\r\n\r\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\r\n"
            while end not in text:
                self.assertLess(time.monotonic(), deadline, text[-300:])
                ring, size, write, read = memory.words(self.block + 28, 4)
                if write != read:
                    self.assertLess(max(write, read), size)
                    whole = memory.read(ring, size)
                    text += whole[read:write] if read < write else whole[read:] + whole[:write]
                    memory.ask(f"writel {self.block + 40:#x} {write:#x}")
            board.expect("reason 2")
            self.assertGreater(len(text), 4096)
            self.assertEqual(text, board.log[: len(text)])

    def test_a_probe_that_writes_nonsense_or_is_gone(self):
        for index in (1, 0xFFFFFFFF):
            with self.subTest(index), Board(PROBE) as board:
                board.expect("ready at .*\r\n")
                Memory(self, board).ask(f"writel {self.block + 40:#x} {index:#x}")
                board.send("crash stack").close()
                board.expect("reason 2")
                board.expect("ready at ")


if __name__ == "__main__":
    if subprocess.run(["qemu-system-arm", "--version"], capture_output=True).returncode:
        sys.exit("qemu-system-arm does not run: apt-get install qemu-system-arm")
    unittest.main()

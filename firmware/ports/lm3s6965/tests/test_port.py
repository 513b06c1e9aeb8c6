#!/usr/bin/env python3
"""The LM3S6965 port on QEMU: test_port.py BUILD

BUILD holds lm3s6965-probe/, an image with probe.c in the core's place, and
lm3s6965/ and lm3s6965-faults/BOOT_LOOP/, the firmware, which test_core.py walks.
"""

import os
import socket
import struct
import subprocess
import sys
import time
import unittest

from board import DEADLINE, EEPROM_SIZE, Board

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


class Reset(unittest.TestCase):
    """Crash text, reset reasons, what survives."""

    def crash(self, how, text):
        with Board(PROBE) as board:
            board.expect("ready")
            board.tell("crash " + how).close()
            board.expect(r"\r\n-{15} CUT HERE FOR EXCEPTION DECODER -{15}\r\n\r\n" + text)
            board.expect(
                r"\r\n>>>stack>>>\r\n\r\nctx: cont\r\nsp: 2000.{4} end: 20010000 offset: 0000\r\n"
            )
            board.expect(r"\r\n<<<stack<<<\r\n")
            end = board.expect(r"-{15} CUT HERE FOR EXCEPTION DECODER -{15}\r\n").start()
            board.expect("reason 2")
            board.expect("ready")
            return board.log[:end]

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

    def test_restart(self):
        with Board(PROBE) as board:
            board.expect("ready")
            board.tell("reset").close()
            board.expect("reason 4")

    def test_reset_from_outside(self):
        with Board(PROBE) as board:
            board.expect("ready")
            board.qmp("system_reset")
            board.expect("reason 6")

    def test_power_cycle(self):
        with Board(PROBE) as board:
            board.expect("ready")
            board.ask("slot write 0 0 5a")
            board.stop()
            board.start()
            board.expect("reason 0")
            board.expect("ready")
            self.assertEqual(board.ask("slot read 0 0 0"), "1 5a 5a")


class Contract(unittest.TestCase):
    """The functions of port.h, from both sides."""

    @classmethod
    def setUpClass(cls):
        cls.board = Board(PROBE)
        cls.board.expect("ready")

    @classmethod
    def tearDownClass(cls):
        cls.board.__exit__()

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

    def test_slot_bounds(self):
        ask = self.board.ask
        self.assertEqual(ask("slot read 1 4032 0")[0], "1")
        for command in ("read 1 4036", "read 2 0", "write 1 4036", "write 1 2", "erase 2 0"):
            self.assertEqual(ask(f"slot {command} 0")[0], "0", command)

    def test_arithmetic(self):
        got = self.board.ask("arithmetic ffffffff fffffff9 0 2").split()
        want = [0x7FFFFFFC, 1, 0xFFFFFFFD, 0xFFFFFFFF, 0x1FFFFFFF2, 2**64 - 14]
        want += [0x7FFFFFFFFFFFFFFC, 1, 2**64 - 3, 2**64 - 1]
        self.assertEqual([int(word, 16) for word in got], want)

    def test_analog(self):
        self.assertEqual([self.board.ask(f"analog {n}") for n in (0, 7, 8)], ["100", "800", "0"])

    def test_led(self):
        for value in (1, 0):
            self.board.ask(f"led {value}")
            # All pins of port F.
            word = self.board.qmp("human-monitor-command", **{"command-line": "xp /1xw 0x400253fc"})
            self.assertEqual(int(word.split()[-1], 16) & 1, value)

    def test_time_passes_and_idle_sleeps(self):
        start, cpu, wall = int(self.board.ask("uptime")), self.board.cpu_seconds(), time.monotonic()
        time.sleep(6)  # the time that is measured; the counter wraps in it
        passed = int(self.board.ask("uptime")) - start
        wall = time.monotonic() - wall
        self.assertAlmostEqual(passed / 1000, wall, delta=0.3)
        self.assertLess(self.board.cpu_seconds() - cpu, 0.05 * wall, "an idle board must sleep")

    def test_connections_leave_nothing(self):
        def free_after(connections):
            for _ in range(connections):
                self.board.ask("uptime")
            return int(self.board.ask("heap").split()[0])

        # The closed ones that are still remembered come and go.
        self.assertAlmostEqual(free_after(50), free_after(200), delta=1000)

    def test_frames_of_every_length(self):
        """Each length of the first piece ends at another byte of the FIFO's words."""
        for length in list(range(1, 9)) + list(range(60, 70)):
            with socket.create_connection(("127.0.0.1", self.board.port), DEADLINE) as peer:
                peer.sendall(b"x" * length + b"\n")
                self.assertEqual(peer.recv(100), b"what?\n", length)

    def test_no_frame_waits_for_a_timer(self):
        """A frame that comes just before the board falls asleep wakes it too."""
        with socket.create_connection(("127.0.0.1", self.board.port), DEADLINE) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            slow, deadline = 0, 0.15  # the board's own timer comes every 0.2 s
            for _ in range(2000):
                start = time.monotonic()
                peer.sendall(b"led 0\n")
                self.assertEqual(peer.recv(100), b"ok\n")
                slow += time.monotonic() - start > deadline
            self.assertLess(slow, 3, "questions that were answered late")

    def test_link(self):
        self.board.qmp("set_link", name="n0", up=False)
        self.board.qmp("set_link", name="n0", up=True)
        self.assertEqual(self.board.ask("led 0"), "ok")


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
                    board.tell("reset").close()
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
            board.tell("crash stack").close()
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
                board.tell("crash stack").close()
                board.expect("reason 2")
                board.expect("ready at ")


if __name__ == "__main__":
    if subprocess.run(["qemu-system-arm", "--version"], capture_output=True).returncode:
        sys.exit("qemu-system-arm does not run: apt-get install qemu-system-arm")
    unittest.main()

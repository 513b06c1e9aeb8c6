"""Tests of a port, with probe.c in the core's place: shared by the ports' test_port.py. Use it with unittest.TestCase
beside it; start() gives a board that was just started."""

import time

CUT_HERE = r"-{15} CUT HERE FOR EXCEPTION DECODER -{15}\r\n"


class Reset:
    """Crash text, reset reasons, what survives."""

    stack = ""  # the line that says where it is
    rom = ""  # what a ROM prints first, with its {cause}

    def expect_start(self, board, cause, reason):
        board.expect(self.rom.format(cause=cause))
        board.expect(f"reason {reason}\r\n")
        board.expect("ready")

    def crash(self, how, text):
        with self.start() as board:
            board.expect("ready")
            board.send("crash " + how).close()
            board.expect(r"\r\n" + CUT_HERE + r"\r\n" + text)
            board.expect(rf"\r\n>>>stack>>>\r\n\r\nctx: cont\r\n{self.stack} offset: 0000\r\n")
            board.expect(r"\r\n<<<stack<<<\r\n")
            end = board.expect(CUT_HERE).start()
            self.expect_start(board, 2, 2)
            return board.log[:end]

    def test_restart(self):
        with self.start() as board:
            board.expect("ready")
            board.send("reset").close()
            self.expect_start(board, 2, 4)

    def test_reset_from_outside(self):
        with self.start() as board:
            board.expect("ready")
            board.qmp("system_reset")
            self.expect_start(board, 2, 6)

    def test_power_cycle(self):
        with self.start() as board:
            board.expect("ready")
            board.ask("slot write 0 0 5a")
            board.stop()
            board.start()
            self.expect_start(board, 1, 0)
            self.assertEqual(board.ask("slot read 0 0 0"), "1 5a 5a")


class Contract:
    """The functions of port.h, from both sides."""

    measured_seconds = 0  # over which time and idleness are looked at
    cpu_share = 0.0  # of a processor here, which an idle board may take

    @classmethod
    def setUpClass(cls):
        cls.board = cls.start()
        cls.board.expect("ready")

    @classmethod
    def tearDownClass(cls):
        cls.board.__exit__()

    def test_slot_bounds(self):
        ask = self.board.ask
        self.assertEqual(ask("slot read 1 4032 0")[0], "1")
        for command in ("read 1 4036", "read 2 0", "write 1 4036", "write 1 2", "erase 2 0"):
            self.assertEqual(ask(f"slot {command} 0")[0], "0", command)

    def test_analog(self):
        self.assertEqual([self.board.ask(f"analog {n}") for n in (0, 7, 8)], ["100", "800", "0"])

    def uptime(self):
        """Seconds on the board, and here before and after they were asked for."""
        before = time.monotonic()
        uptime = int(self.board.ask("uptime")) / 1000
        return uptime, before, time.monotonic()

    def test_time_passes_and_idle_sleeps(self):
        first, first_asked, first_told = self.uptime()
        cpu = self.board.cpu_seconds()
        time.sleep(self.measured_seconds)  # the time that is measured
        cpu = self.board.cpu_seconds() - cpu
        last, last_asked, last_told = self.uptime()
        # The questions themselves may take long on a busy machine.
        self.assertGreater(last - first, last_asked - first_told - 0.01)
        self.assertLess(last - first, last_told - first_asked + 0.01)
        self.assertLess(cpu, self.cpu_share * (last_asked - first_told), "an idle board must sleep")

    def test_connections_leave_nothing(self):
        """One after the other: QEMU's own listener takes only one at a time."""

        def free_after(connections):
            for _ in range(connections):
                self.board.ask("uptime")
            return int(self.board.ask("heap").split()[0])

        # The closed ones that are still remembered come and go.
        self.assertAlmostEqual(free_after(50), free_after(200), delta=1000)

    def test_link(self):
        self.board.qmp("set_link", name="n0", up=False)
        self.board.qmp("set_link", name="n0", up=True)
        self.assertEqual(self.board.ask("led 0"), "ok")

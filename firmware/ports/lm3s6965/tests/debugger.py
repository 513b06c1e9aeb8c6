"""QEMU's processor stopped and stepped, over GDB's remote protocol (the GDB manual, appendix E)."""

import socket

from process import DEADLINE

PC = 15  # its place in the list of registers


class Debugger:
    """Connects to the socket at `path`, which stops the board; __exit__ lets it run. Use it in a `with`."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")
        stopped = self.answer()
        assert stopped.startswith("T02"), stopped

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ask("D")
        self.stream.close()
        self.socket.close()

    def send(self, command):
        self.socket.sendall(f"${command}#{sum(command.encode()) & 0xFF:02x}".encode())

    def answer(self):
        while (byte := self.stream.read(1)) != b"$":
            assert byte == b"+", f"waited for an answer of QEMU, came {byte}"
        text = b""
        while not text.endswith(b"#"):
            text += self.stream.read(1)
        self.stream.read(2)
        self.socket.sendall(b"+")
        return text[:-1].decode()

    def ask(self, command):
        self.send(command)
        return self.answer()

    def word(self, text):
        return int.from_bytes(bytes.fromhex(text), "little")

    def pc(self):
        return self.word(self.ask("g")[8 * PC : 8 * PC + 8])

    def read(self, address):
        return self.word(self.ask(f"m{address:x},4"))

    def run_to(self, *addresses):
        """Which of the addresses the processor comes to."""
        for address in addresses:
            assert self.ask(f"Z0,{address:x},2") == "OK"
        stopped = self.ask("c")
        assert stopped.startswith("T05"), stopped
        for address in addresses:
            assert self.ask(f"z0,{address:x},2") == "OK"
        return self.pc()

    def step(self):
        stopped = self.ask("s")
        assert stopped.startswith("T05"), stopped
        return self.pc()

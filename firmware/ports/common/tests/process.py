"""A board that runs as a process, for the ports' tests: its serial line, its commands."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.append(os.path.join(os.path.dirname(__file__), "../../../tests"))
from peers import DEADLINE, free_port  # noqa: E402

__all__ = ["DEADLINE", "Process"]


class Process:
    """Started by launch(), whose arguments may name self.port and self.path. Use it in a `with`."""

    def __init__(self, listen=True):
        self.directory = tempfile.TemporaryDirectory(prefix="hilrig-port-")
        self.path = self.directory.name
        self.port = free_port()
        self.listen = listen
        self.errors = None  # a file for the standard error, or the test's own

    def launch(self, *arguments):
        self.arguments = arguments
        self.start()

    def start(self):
        self.log = b""
        self.seen = 0
        self.ended = False
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            self.arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        if self.listen:
            self.reader = threading.Thread(target=self._read, args=[self.process.stdout])
            self.reader.start()

    def _read(self, stream):
        while chunk := os.read(stream.fileno(), 65536):
            with self.changed:
                self.log += chunk
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def stop(self):
        """Like a power cut."""
        self.process.kill()
        self.process.wait()
        if self.listen:
            self.reader.join()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.directory.cleanup()

    def expect(self, pattern):
        """Waits for the next match on the serial line."""
        end = time.monotonic() + DEADLINE
        with self.changed:
            while True:
                match = re.compile(pattern.encode()).search(self.log, self.seen)
                if match:
                    self.seen = match.end()
                    return match
                if self.ended or not self.changed.wait(end - time.monotonic()):
                    break
        if self.ended:
            raise AssertionError(f"waited for {pattern!r}, but the board ended: {self.log[-2000:]}")
        came = self.log[self.seen :][-2000:].decode("latin1")
        raise AssertionError(f"waited {DEADLINE:.0f} s for {pattern!r}, instead came:\n{came}")

    def send(self, command):
        """Sends a command that may have no answer."""
        connection = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        connection.sendall(command.encode() + b"\n")
        return connection

    def ask(self, command):
        with self.send(command) as connection:
            answer = b""
            while not answer.endswith(b"\n"):
                chunk = connection.recv(4096)
                if not chunk:
                    raise AssertionError(f"{command!r}: the board closed after {answer!r}")
                answer += chunk
            return answer.decode().strip()

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

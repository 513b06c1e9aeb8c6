"""What a board talks to in a test: a time server, a broker, and the test's own MQTT client.

For the tests of the core on the host and for those of the ports. Every wait has a deadline and
reports what it waited for.
"""

import atexit
import os
import queue
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

MAC = "18fe34a26629"
DEADLINE = 20.0  # seconds; for a busy machine, none of the waits is near it

children = []


@atexit.register
def end_children():
    for child in children:
        child.kill()
        child.wait()


def spawn(command, stdin=subprocess.DEVNULL):
    child = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    children.append(child)
    return child


def end(child, kill=False):
    """Ends a child by SIGTERM, or by SIGKILL."""
    if kill:
        child.kill()
    else:
        child.terminate()
    child.wait(DEADLINE)
    children.remove(child)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Log:
    """Lines of a child's output, waited for by pattern."""

    def __init__(self, child, name):
        self.name, self.lines, self.seen = name, queue.Queue(), []
        threading.Thread(target=self._read, args=(child.stdout,), daemon=True).start()

    def _read(self, stream):
        with stream:
            for line in stream:
                self.lines.put(line.decode("utf-8", "replace").rstrip("\r\n"))
        self.lines.put(None)

    def wait(self, pattern):
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                tail = "\n  ".join(self.seen[-15:])
                raise AssertionError(f"{self.name}: waited for {pattern!r}; the last lines:\n  {tail}")
            self.seen.append(line)
            if found := re.search(pattern, line):
                return found

    def seen_line(self, start):
        """The last line with this start that a wait has passed."""
        return next(line for line in reversed(self.seen) if line.startswith(start))


class TimeServer:
    """SNTP; `shift` seconds are added to this machine's time.

    `wrong_first`: an answer to another request comes before each answer. The board must drop it.
    A port keeps one datagram at a time, so only the host's, which keeps more, is sure to get both.
    """

    def __init__(self, wrong_first=False):
        self.wrong_first = wrong_first
        self.shift = 0
        self.stratum = 2
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            asked, client = self.socket.recvfrom(100)
            now = int(time.time() + self.shift + 2208988800) & 0xFFFFFFFF
            stamp = struct.pack(">II", now, 0)
            if self.wrong_first:
                wrong = struct.pack(">II", 1, 0)
                self.socket.sendto(b"\x24\x02" + bytes(22) + b"\1" * 8 + wrong * 2, client)
            head = bytes([0x24, self.stratum]) + bytes(22)
            self.socket.sendto(head + asked[40:48] + stamp * 2, client)


class Broker:
    """Mosquitto with a TLS listener for the board and a plain one for the test."""

    def __init__(self, folder, certs, certificate, *more):
        self.port, self.plain = free_port(), free_port()
        self.path = os.path.join(folder, f"mosquitto-{self.port}.conf")
        lines = ["user root"] if os.geteuid() == 0 else []
        lines += [
            f"listener {self.plain} 127.0.0.1",
            f"listener {self.port} 127.0.0.1",
            f"certfile {certs}/{certificate}.pem",
            f"keyfile {certs}/{certificate}.key",
            *more,
        ]
        if not any(line.startswith("password_file") for line in more):
            lines.append("allow_anonymous true")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        self.start()

    def start(self):
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.child = spawn([binary, "-c", self.path])
        Log(self.child, "mosquitto").wait("mosquitto version .* running")

    def end(self, kill=False):
        end(self.child, kill)

    def restart(self):
        """Another process on the same ports."""
        self.end()
        self.start()


def text(content):
    """A string of MQTT: its length and its bytes."""
    content = content.encode() if isinstance(content, str) else content
    return struct.pack(">H", len(content)) + content


def packet(first, body):
    """An MQTT packet: the first byte, the length, the body."""
    length, size = b"", len(body)
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if size == 0:
            return bytes([first]) + length + body


class Mqtt:
    """The test's own client: subscribes to the tx topic, publishes requests."""

    def __init__(self, port, client_id="test", topic=f"mqtt_tx_{MAC}"):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.socket.sendall(packet(0x10, b"\0\4MQTT\4\2\0\0" + text(client_id)))
        self._expect(0x20)
        self.socket.sendall(packet(0x82, b"\0\1" + text(topic) + b"\0"))
        self._expect(0x90)

    def _bytes(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise AssertionError("the broker closed the test's own connection")
            got += more
        return got

    def _expect(self, first):
        came = self._bytes(1)[0]
        length = shift = 0
        while True:
            byte = self._bytes(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = self._bytes(length)
        assert came == first, f"waited for packet {first:#x}, got {came:#x} {body}"
        return body

    def publish(self, payload):
        self.socket.sendall(packet(0x30, text(f"mqtt_rx_{MAC}") + payload))

    def receive(self, what="message"):
        try:
            body = self._expect(0x30)
        except TimeoutError:
            raise AssertionError(f"no {what} within {DEADLINE:.0f} s") from None
        return body[2 + body[1] :].decode()

    def ask(self, request):
        self.publish(b"/?request=" + request.encode())
        return self.receive(f"reply to {request}")


def take_over(broker, client_id):
    """Connects with the board's client id, so that the broker disconnects the board."""
    Mqtt(broker.plain, client_id).socket.close()

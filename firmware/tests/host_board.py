"""What the tests of the core on the host share: brokers, a time server, the board.

The first argument of such a test is the folder with host_board and certs/. Every wait has a
deadline and says what it waited for.
"""
import atexit
import http.client
import json
import os
import queue
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

OUT = sys.argv[1]
NAME = os.path.basename(sys.argv[0])
CERTS = os.path.join(os.path.abspath(OUT), "certs")
MAC = "18fe34a26629"
WAIT = 15  # seconds; the slowest step is an RSA-4096 handshake under a sanitizer

passed = failed = 0
children = []


def check(condition, what):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        caller = sys._getframe(1)
        print(f"{NAME}:{caller.f_lineno}: failed: {what}", file=sys.stderr)
    return condition


@atexit.register
def end_children():
    for child in children:
        child.kill()
        child.wait()


def spawn(command, stdin=subprocess.DEVNULL):
    child = subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    children.append(child)
    return child


def end(child):
    child.terminate()
    child.wait(WAIT)
    children.remove(child)


class Log:
    """Lines of a child's output, waited for by pattern."""

    def __init__(self, child, name):
        self.name, self.lines, self.seen = name, queue.Queue(), []
        threading.Thread(target=self._read, args=(child.stdout,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            self.lines.put(line.decode("utf-8", "replace").rstrip("\r\n"))
        self.lines.put(None)

    def wait(self, pattern, seconds=WAIT):
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                tail = "\n  ".join(self.seen[-15:])
                raise SystemExit(f"{self.name}: waited for {pattern!r}; the last lines:\n  {tail}")
            self.seen.append(line)
            if found := re.search(pattern, line):
                return found

    def seen_line(self, start):
        """The last one that begins so, of those that a wait went past."""
        return next(line for line in reversed(self.seen) if line.startswith(start))


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class TimeServer:
    """SNTP; `shift` seconds are added to the time it tells."""

    def __init__(self):
        self.shift = 0
        self.stratum = 2
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            asked, who = self.socket.recvfrom(100)
            now = int(time.time() + self.shift + 2208988800) & 0xFFFFFFFF
            stamp = struct.pack(">II", now, 0)
            # A wrong answer first: it must not be taken.
            liar = struct.pack(">II", 1, 0)
            self.socket.sendto(b"\x24\x02" + bytes(22) + b"\1" * 8 + liar * 2, who)
            head = bytes([0x24, self.stratum]) + bytes(22)
            self.socket.sendto(head + asked[40:48] + stamp * 2, who)


class Broker:
    """Mosquitto with a TLS listener for the board and a plain one for the test."""

    def __init__(self, folder, certificate, *more):
        self.port, self.plain = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
        path = os.path.join(folder, f"mosquitto-{self.port}.conf")
        lines = [
            f"listener {self.plain} 127.0.0.1",
            f"listener {self.port} 127.0.0.1",
            f"certfile {CERTS}/{certificate}.pem",
            f"keyfile {CERTS}/{certificate}.key",
            *more,
        ]
        if os.geteuid() == 0:
            lines.insert(0, "user root")
        if not any(line.startswith("password_file") for line in more):
            lines.append("allow_anonymous true")
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        self.path = path
        self._start()

    def _start(self):
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.child = spawn([binary, "-c", self.path])
        Log(self.child, "mosquitto").wait("mosquitto version .* running")

    def end(self):
        end(self.child)

    def restart(self):
        """Another process in its place, on the same ports."""
        self.end()
        self._start()


class Mqtt:
    """The test's own end: subscribes to the tx topic, publishes requests."""

    def __init__(self, port, client_id=b"test", topic=f"mqtt_tx_{MAC}"):
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT)
        self.socket.settimeout(WAIT)
        head = bytes([0x10, 12 + len(client_id)]) + b"\0\4MQTT\4\2\0\0"
        self.socket.sendall(head + bytes([0, len(client_id)]) + client_id)
        assert self._packet()[0] == 0x20
        topic = topic.encode()
        self.socket.sendall(bytes([0x82, len(topic) + 5, 0, 1, 0, len(topic)]) + topic + b"\0")
        assert self._packet()[0] == 0x90

    def _packet(self):
        first = self._bytes(1)[0]
        length = shift = 0
        while True:
            byte = self._bytes(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return first, self._bytes(length)

    def _bytes(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise SystemExit("the broker closed the test's own connection")
            got += more
        return got

    def publish(self, payload):
        topic = f"mqtt_rx_{MAC}".encode()
        body = bytes([0, len(topic)]) + topic + payload
        length, size = b"", len(body)
        while True:
            length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
            size >>= 7
            if size == 0:
                break
        self.socket.sendall(b"\x30" + length + body)

    def ask(self, request):
        self.publish(b"/?request=" + request.encode())
        return self.receive(f"reply to {request}")

    def receive(self, what="message"):
        try:
            first, body = self._packet()
        except TimeoutError:
            raise SystemExit(f"no {what} within {WAIT} s")
        return body[2 + body[1] :].decode()


class Board:
    """host_board with a flash of its own."""

    def __init__(self, folder):
        self.child = spawn([os.path.join(OUT, "host_board"), os.path.join(folder, "flash")])
        self.log = Log(self.child, "board")
        self.configuration()

    def configuration(self):
        self.port = int(self.log.wait(r"^\[host\] listening on (\d+)")[1])
        self.log.wait("^ESP8266 Mode: Web Server Running - Type = SDK API$")

    def http(self, path, body=None, method=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        connection.request(method or ("GET" if body is None else "POST"), path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def to_mqtt(self, broker, times, time_is_known=True, **more):
        fields = {
            "mqtt_bk": "broker.test",
            "mqtt_ba": "127.0.0.1",
            "mqtt_pt": broker.port,
            "ntp_sv": "127.0.0.1",
            "ntp_pt": times.port,
            "mqtt_rs": 1,
            "mqtt_ra": 1,
            "tls_mfl": 16384,
        }
        fields.update(more)
        status, _ = self.http("/config?" + "&".join(f"{k}={v}" for k, v in fields.items()))
        check(status == 200, f"the settings are taken: {status}")
        status, answer = self.http("/?request=MqttSslOn")
        check(answer == b"MQTT SSL Broker Connection Restored and HTTP Disabled", answer)
        if time_is_known is None:
            return  # it asks for none
        if time_is_known:
            self.log.wait(r"^Current GMT: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$")
        else:
            self.log.wait(r"^No time from 127\.0\.0\.1: refused by the time server")

    def ca(self, name):
        with open(f"{CERTS}/{name}.pem", "rb") as file:
            status, answer = self.http("/ca", file.read())
        check(status == 200 and answer.startswith(b"CA stored: "), answer)

    def refuses(self, broker, times, error, **more):
        """One attempt, refused with this TLS error, then back by itself."""
        self.to_mqtt(broker, times, **more)
        self.log.wait(r"^Attempting MQTT connection\.\.\.failed, rc=-2 try again in 1 seconds$")
        line = self.log.wait(r"^TLS error \d+: ")
        check(line.string.startswith(f"TLS error {error}: "), f"{error}, not {line.string}")
        self.log.wait("^MQTT given up after 1 attempts, HTTP Server Restored$")
        self.configuration()


def walk(board, broker, times, **more):
    """Configuration mode, MQTT mode, requests, and back."""
    board.to_mqtt(broker, times, **more)
    board.log.wait(r"^Attempting MQTT connection\.\.\.connected$")
    shake = int(board.log.wait(r"^Heap handshake: free \d+, lowest (\d+),")[1])
    board.log.wait("^Heap connected: ")
    mqtt = Mqtt(broker.plain)
    check(mqtt.ask("LedOn") == "LED is now ON", "LedOn")
    check(mqtt.ask("BlinkLed&nblink=3") == "LED is now blinking 3 times.", "BlinkLed")
    check(mqtt.ask("Nonsense") == "Invalid Request", "Nonsense")
    sensors = json.loads(mqtt.ask("GetSensors"))
    check(all(isinstance(v, str) for v in sensors.values()), f"strings: {sensors}")
    check(sensors["Ain7"] == "107" and int(sensors["SYS_HeapHandshake"]) == shake, sensors)
    check(sensors["SYS_HeapFailed"] == "0", sensors)
    if more.get("tls_mfl", 16384) == 16384:
        mqtt.publish(b"x" * 9000)
        board.log.wait("^MQTT message of 9022 bytes skipped")
        check(mqtt.ask("LedOff") == "LED is now OFF", "after a large message")
    started = time.monotonic()
    check(mqtt.ask("HttpOn") == "HTTP Server Restored and MQTT Disabled", "HttpOn")
    board.configuration()
    check(time.monotonic() - started < 2.5, "it resets when the answer has left, not after 3 s")
    return shake


def run(main, what):
    """Runs a test's main() and ends with its tally."""
    global failed
    try:
        main()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            failed += 1
            print(f"{NAME}: failed: {stop.code}", file=sys.stderr)
    print(f"{what}: {passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)

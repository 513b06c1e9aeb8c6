"""The firmware against a real Mosquitto, on whatever board: what the ports' test_core.py and
test_esp8266.py share. Certificates are made by tests/make_certs.sh."""

import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http import client

from process import DEADLINE, free_port

MAKE_CERTS = os.path.join(os.path.dirname(__file__), "../../../tests/make_certs.sh")
MAC = "18fe34a26629"
HOST = "10.0.2.2"  # this machine, for the board
CONFIGURATION = "ESP8266 Mode: Web Server Running - Type = SDK API\r\n"  # of an ESP8266-class board
HEAP = r"free (\d+), lowest (\d+), lowest ever \d+, largest \d+, fragmentation \d+, failed 0, stack \d+ of \d+\r\n"
SWITCHED = "MQTT SSL Broker Connection Restored and HTTP Disabled"


class TimeServer:
    """SNTP, with this machine's time."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            asked, who = self.socket.recvfrom(100)
            stamp = struct.pack(">II", int(time.time() + 2208988800) & 0xFFFFFFFF, 0)
            self.socket.sendto(b"\x24\x02" + bytes(22) + asked[40:48] + stamp * 2, who)


class Broker:
    """Mosquitto with a TLS listener for the board and a plain one for the test."""

    def __init__(self, folder, certs, certificate, *more):
        self.port, self.plain = free_port(), free_port()
        path = f"{folder}/{certificate}.conf"
        lines = ["user root"] if os.geteuid() == 0 else []
        lines += [
            f"listener {self.plain} 127.0.0.1",
            f"listener {self.port} 127.0.0.1",
            f"certfile {certs}/{certificate}.pem",
            f"keyfile {certs}/{certificate}.key",
            "allow_anonymous true",
            *more,
        ]
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = subprocess.Popen(
            [binary, "-v", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = b""
        for line in self.process.stdout:
            said += line
            if b" running" in line:
                # Read on, or the broker would stand still one day.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        raise AssertionError(f"mosquitto ended: {said}")

    def end(self):
        self.process.kill()
        self.process.wait()


class Mqtt:
    """The test's own end: subscribes to the tx topic, publishes requests."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self._packet(0x10, b"\0\4MQTT\4\2\0\0" + self._text("test"))
        self._expect(0x20)
        self._packet(0x82, b"\0\1" + self._text(f"mqtt_tx_{MAC}") + b"\0")
        self._expect(0x90)

    @staticmethod
    def _text(text):
        return struct.pack(">H", len(text)) + text.encode()

    def _packet(self, kind, body):
        assert len(body) < 128  # what one byte of length can say
        self.socket.sendall(bytes([kind, len(body)]) + body)

    def _bytes(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise AssertionError("the broker closed the test's own connection")
            got += more
        return got

    def _expect(self, kind):
        first = self._bytes(1)[0]
        length = shift = 0
        while True:
            byte = self._bytes(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = self._bytes(length)
        assert first == kind, f"waited for packet {kind:#x}, came {first:#x} {body}"
        return body

    def ask(self, request):
        self._packet(0x30, self._text(f"mqtt_rx_{MAC}") + f"/?request={request}".encode())
        body = self._expect(0x30)
        return body[2 + body[1] :].decode()


def http(board, path, body=None):
    """The body of a 200 from the board's web server."""
    connection = client.HTTPConnection("127.0.0.1", board.port, timeout=DEADLINE)
    connection.request("GET" if body is None else "POST", path, body)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    assert answer.status == 200, content
    return content


class Http:
    """For a test that has a board."""

    def http(self, path, body=None):
        return http(self.board, path, body)


class Firmware(Http):
    """Tests of one board; with unittest.TestCase beside it, a subclass starts it (start_board) and says
    how much heap must be left."""

    device = "ESP8266"  # the chip's name in the log
    free_at_boot = 0
    free_in_handshake = 0  # with records of 16 KiB
    free_in_small_handshake = 0  # with records of 512 bytes
    analog = ()  # Ain0 to Ain7

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="hilrig-core-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.certs = f"{cls.folder.name}/certs"
        subprocess.run(["sh", MAKE_CERTS, cls.certs], check=True, capture_output=True)
        cls.times = TimeServer()

    def setUp(self):
        self.board = self.start_board()
        self.addCleanup(self.board.__exit__)
        self.board.expect(self.configuration())
        boot = self.board.expect("Heap boot: " + HEAP)
        self.assertGreater(int(boot[1]), self.free_at_boot, "free heap with the network up")

    def configuration(self):
        """The line that reports that configuration mode is up."""
        return CONFIGURATION.replace("ESP8266", self.device)

    def broker(self, certificate, *more):
        broker = Broker(self.folder.name, self.certs, certificate, *more)
        self.addCleanup(broker.process.stdout.close)
        self.addCleanup(broker.end)
        return broker

    def store_ca(self, name):
        with open(f"{self.certs}/{name}.pem", "rb") as file:
            answer = self.http("/ca", file.read())
        self.assertRegex(answer, "^CA stored: [0-9a-f]{64}$")
        return answer.removeprefix("CA stored: ")

    def to_mqtt(self, broker, asks_time=True, **more):
        fields = {
            "mqtt_bk": "broker.test",
            "mqtt_ba": HOST,
            "mqtt_pt": broker.port,
            "ntp_sv": HOST,
            "ntp_pt": self.times.port,
            "mqtt_rs": 1,
            "mqtt_ra": 1,
        }
        fields.update(more)
        self.http("/config?" + "&".join(f"{k}={v}" for k, v in fields.items()))
        answer = self.http("/?request=MqttSslOn")
        self.assertEqual(answer, SWITCHED)
        self.board.expect("Reset reason: 4\r\nSettings: stored ")
        if asks_time:
            self.board.expect("Current GMT: ")

    def walk(self, broker, floor, **more):
        """MQTT mode over TLS, requests, and back."""
        self.to_mqtt(broker, **more)
        self.board.expect(r"Attempting MQTT connection\.\.\.connected\r\n")
        shake = self.board.expect("Heap handshake: " + HEAP)
        self.assertGreater(int(shake[2]), floor, "lowest free heap in the handshake")
        self.board.expect("Heap connected: " + HEAP)
        mqtt = Mqtt(broker.plain)
        self.addCleanup(mqtt.socket.close)
        self.assertEqual(mqtt.ask("LedOn"), "LED is now ON")
        self.assertEqual(mqtt.ask("Nonsense"), "Invalid Request")
        sensors = json.loads(mqtt.ask("GetSensors"))
        self.assertEqual([sensors[f"Ain{n}"] for n in range(8)], [str(n) for n in self.analog])
        self.assertEqual(sensors["SYS_HeapHandshake"], shake[2].decode())
        self.assertEqual(mqtt.ask("HttpOn"), "HTTP Server Restored and MQTT Disabled")
        self.board.expect("Reset reason: 4")
        self.board.expect(self.configuration())

    def test_page(self):
        page = self.http("/config")
        self.assertRegex(page, 'name="?mqtt_bk')
        self.board.expect("Heap page: " + HEAP)
        self.assertIn("SYS_Heap", json.loads(self.http("/?request=GetSensors")))

    def test_ec(self):
        broker = self.broker("broker")
        self.store_ca("ec256")
        self.walk(broker, self.free_in_handshake)
        self.walk(broker, self.free_in_small_handshake, tls_mfl=512)

    def test_rsa(self):
        self.store_ca("rsa2048")
        self.walk(self.broker("broker_of_rsa"), self.free_in_handshake)

    def test_own_certificate(self):
        """Signed with its own key in the handshake, beside all else that a handshake needs."""
        self.store_ca("ec256")
        pem = b""
        for name in "client.pem", "client.key":
            with open(f"{self.certs}/{name}", "rb") as file:
                pem += file.read()
        self.assertRegex(self.http("/cert", pem), "^Certificate stored: [0-9a-f]{64}$")
        closed = ("require_certificate true", f"cafile {self.certs}/ec256.pem")
        self.walk(self.broker("broker", *closed), self.free_in_small_handshake - 2048, tls_mfl=512)
        self.assertEqual(self.http("/cert", b""), "Certificate removed")

    def test_pinned_and_resumed(self):
        with open(f"{self.certs}/broker.der", "rb") as file:
            pin = hashlib.sha256(file.read()).hexdigest()
        broker = self.broker("broker")
        # Neither CA nor time.
        self.to_mqtt(broker, asks_time=False, tls_pn=pin, tls_rs="on", mqtt_ra=0)
        self.board.expect("TLS session: full handshake\r\n")
        self.board.expect("Heap connected: ")
        for _ in range(2):
            # Another client of its name throws it out.
            name = f"{self.device}-{MAC}".encode()
            connect = b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(name)) + name
            with socket.create_connection(("127.0.0.1", broker.plain), DEADLINE) as other:
                other.sendall(bytes([0x10, len(connect)]) + connect)
                self.board.expect("MQTT connection lost: closed by the broker")
            self.board.expect("TLS session: resumed\r\n")
            self.board.expect("Heap connected: ")

    def test_wrong_ca_is_refused(self):
        self.store_ca("impostor")
        self.to_mqtt(self.broker("broker"))
        self.board.expect(r"Attempting MQTT connection\.\.\.failed, rc=-2 try again in 1 seconds\r\n")
        self.board.expect(r"TLS error 62: ")
        self.board.expect("MQTT given up after 1 attempts, HTTP Server Restored")
        self.board.expect(self.configuration())

    def test_settings_survive_the_power(self):
        digest = self.store_ca("ec256")
        self.http("/config?mqtt_bk=kept.test")
        self.board.stop()
        self.board.start()
        self.board.expect("Reset reason: 0\r\nSettings: stored ")
        self.board.expect(self.configuration())
        self.assertIn("kept.test", self.http("/config"))
        self.assertEqual(self.http("/ca"), digest)

    def test_a_power_cut_in_a_save_leaves_one_of_the_two(self):
        """SIGKILL somewhere in a save of settings, again and again."""
        self.http("/config?mqtt_bk=before.test")
        old = "before.test"
        for cut in range(20):
            new = f"cut{cut}.test"
            connection = socket.create_connection(("127.0.0.1", self.board.port), DEADLINE)
            connection.sendall(f"GET /config?mqtt_bk={new} HTTP/1.0\r\n\r\n".encode())
            time.sleep(cut * 0.001)  # not a wait: the moment of the cut
            self.board.stop()
            connection.close()
            self.board.start()
            self.board.expect("Settings: stored ")
            self.board.expect(self.configuration())
            page = self.http("/config")
            self.assertTrue(old in page or new in page, f"neither {old} nor {new}")
            old = new if new in page else old


def main(*tools):
    """Runs the tests of whoever calls, if the tools (name, package) are there."""
    for tool, package in (("mosquitto", "mosquitto"), *tools):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
            sys.exit(f"{tool} is missing: apt-get install {package}")
    unittest.main()

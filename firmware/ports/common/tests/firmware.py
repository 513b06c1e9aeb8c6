"""The firmware against a real Mosquitto, on any board: shared by the ports' test_core.py and
test_esp8266.py. tests/make_certs.sh makes the certificates."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from http import client

from process import DEADLINE
from peers import MAC, Broker, Mqtt, TimeServer, take_over

MAKE_CERTS = os.path.join(os.path.dirname(__file__), "../../../tests/make_certs.sh")
HOST = "10.0.2.2"  # this machine, for the board
CONFIGURATION = "ESP8266 Mode: Web Server Running - Type = SDK API\r\n"  # of an ESP8266-class board
HEAP = r"free (\d+), lowest (\d+), lowest ever \d+, largest \d+, fragmentation \d+, failed 0, stack \d+ of \d+\r\n"
SWITCHED = "MQTT SSL Broker Connection Restored and HTTP Disabled"


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
    """Tests of one board; with unittest.TestCase beside it, a subclass starts it (start_board) and sets
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

    def main_path(self, broker, floor, **more):
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
        self.main_path(broker, self.free_in_handshake)
        self.main_path(broker, self.free_in_small_handshake, tls_mfl=512)

    def test_rsa(self):
        self.store_ca("rsa2048")
        self.main_path(self.broker("broker_of_rsa"), self.free_in_handshake)

    def test_own_certificate(self):
        """Signed with its own key in the handshake, beside all else that a handshake needs."""
        self.store_ca("ec256")
        pem = b""
        for name in "client.pem", "client.key":
            with open(f"{self.certs}/{name}", "rb") as file:
                pem += file.read()
        self.assertRegex(self.http("/cert", pem), "^Certificate stored: [0-9a-f]{64}$")
        closed = ("require_certificate true", f"cafile {self.certs}/ec256.pem")
        self.main_path(self.broker("broker", *closed), self.free_in_small_handshake - 2048, tls_mfl=512)
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
            # Another client with its id: the broker disconnects the board.
            take_over(broker, f"{self.device}-{MAC}")
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
    """Runs the calling script's tests, if the tools (name, package) are there."""
    for tool, package in (("mosquitto", "mosquitto"), *tools):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
            sys.exit(f"{tool} is missing: apt-get install {package}")
    unittest.main()

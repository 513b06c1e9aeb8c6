"""The core on the host as a board, for end_to_end.py and end_to_end_tls.py; counted checks.

The first argument of such a test is the folder with host_board and certs/.
"""

import http.client
import json
import os
import sys
import time

import peers
from peers import DEADLINE, MAC, Log, Mqtt, spawn

OUT = sys.argv[1]
NAME = os.path.basename(sys.argv[0])
CERTS = os.path.join(os.path.abspath(OUT), "certs")
CLIENT_ID = f"ESP8266-{MAC}"  # the board's own

passed = failed = 0


def check(condition, what):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        caller = sys._getframe(1)
        print(f"{NAME}:{caller.f_lineno}: failed: {what}", file=sys.stderr)
    return condition


def Broker(folder, certificate, *more):
    return peers.Broker(folder, CERTS, certificate, *more)


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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
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


def main_path(board, broker, times, **more):
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
    except AssertionError as reason:
        failed += 1
        print(f"{NAME}: failed: {reason}", file=sys.stderr)
    print(f"{what}: {passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)

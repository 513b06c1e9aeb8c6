#!/usr/bin/env python3
"""The ESP8266 port on this machine, with the core, lwIP and BearSSL: test_esp8266.py BUILD

BUILD holds esp8266, the port with fake/ around it.
"""

import os
import signal
import socket
import sys
import time
import unittest

from board import BLANK, DEADLINE, SLOTS, Board
import firmware

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 else "build/esp8266-tests"
BINARY = os.path.join(BUILD, "esp8266")
SECTOR = 4096
MAGIC = b"HLRG"  # core/store.c: what a slot starts with
ACCESS_POINT = (
    "Could not connect to wifi, initializing AP\r\n"
    r"\[fake\] access point hilrig-A26629, open\r\n"
    r"ESP8266 IP: 192\.168\.4\.1\r\n"
)
JOINED = r"WiFi connected\r\nESP8266 IP: 10\.0\.2\.15\r\n"
NETWORK = "ssid=bench&password=correct+horse"


class Wifi(firmware.Http, unittest.TestCase):
    """From a blank flash: the access point, the network, losing it."""

    def start(self, flash=BLANK, hurry=1):
        self.board = Board(BINARY, flash, hurry)
        self.addCleanup(self.board.__exit__)

    def join(self, fields):
        """From a blank flash, through the access point."""
        self.start()
        self.board.expect(ACCESS_POINT)
        self.board.expect(firmware.CONFIGURATION)
        self.http("/config?" + fields)
        self.assertEqual(self.http("/?request=Reset"), "ESP8266 is restarting")
        self.board.expect("Reset reason: 4\r\nSettings: stored ")

    def test_first_start(self):
        self.join(NETWORK)
        self.board.expect(JOINED)
        self.board.expect(firmware.CONFIGURATION)
        page = self.http("/config")
        self.assertIn("bench", page)
        # The heap asks for a smaller record than on the other boards.
        self.assertIn('name="tls_mfl" value="4096"', page)
        self.assertNotIn("correct horse", page)
        self.assertNotIn(b"correct", self.board.log)

    def test_the_settings_are_where_the_readme_says(self):
        """Each save takes the other slot, and nothing else of the flash changes."""
        self.join(NETWORK)
        self.board.expect(JOINED)
        self.board.expect(firmware.CONFIGURATION)
        self.http("/config?mqtt_bk=second.test")
        flash = bytearray(self.board.flash())
        for slot in SLOTS:
            self.assertEqual(flash[slot : slot + 4], MAGIC)
            flash[slot : slot + SECTOR] = BLANK[:SECTOR]
        self.assertEqual(flash, BLANK)

    def test_settings_flashed_as_data(self):
        """As a rig does, which then needs no access point."""
        self.join(NETWORK)
        self.board.expect(JOINED)
        flash = self.board.flash()
        (slot,) = (slot for slot in SLOTS if flash[slot : slot + 4] == MAGIC)
        for place in SLOTS:
            given = bytearray(BLANK)
            given[place : place + SECTOR] = flash[slot : slot + SECTOR]
            self.start(given)
            self.board.expect("Reset reason: 0\r\nSettings: stored ")
            self.board.expect(JOINED)
            self.board.expect(firmware.CONFIGURATION)

    def test_networks_that_cannot_be_joined(self):
        for wrong in ("ssid=bench&password=wrong", "ssid=nobody&password=correct+horse"):
            with self.subTest(wrong):
                self.join(wrong)
                # After 20 s of its time.
                self.start(self.board.flash(), hurry=20)
                self.board.expect("Settings: stored .*\r\n" + ACCESS_POINT)
                self.board.expect(firmware.CONFIGURATION)
                self.assertIn("configuration", self.http("/config"))

    def test_own_address(self):
        own = "&".join(
            f"{name}_{i}={byte}"
            for name, address in (("ip", (10, 0, 2, 77)), ("nm", (255, 255, 255, 0)), ("gw", (10, 0, 2, 2)))
            for i, byte in enumerate(address)
        )
        self.join(NETWORK + "&" + own)
        self.board.expect(r"WiFi connected\r\nESP8266 IP: 10\.0\.2\.77\r\n")
        self.board.expect(firmware.CONFIGURATION)
        self.assertIn("configuration", self.http("/config"))

    def test_the_network_is_lost_and_comes_back(self):
        self.join(NETWORK)
        self.board.expect(firmware.CONFIGURATION)
        for _ in range(2):
            self.board.process.send_signal(signal.SIGUSR1)
            self.board.expect("WiFi lost\r\n")
            self.board.process.send_signal(signal.SIGUSR2)
            self.board.expect(JOINED)
            self.assertIn("configuration", self.http("/config"))

    def test_what_comes_ends_the_sleep(self):
        """On a busy machine, too: the fake reports a sleep that continues over a request.

        A few may be: bytes that came twice are nothing new.
        """
        self.join(NETWORK)
        self.board.expect(firmware.CONFIGURATION)
        with socket.create_connection(("127.0.0.1", self.board.port), DEADLINE) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"GET /?request=LedOff HTTP/1.0\r\n\r\n":
                time.sleep(0.03)  # so that each finds the board asleep
                peer.sendall(bytes([byte]))
            self.assertTrue(peer.recv(100).startswith(b"HTTP/1.1 200 "))
        self.assertLess(self.board.notes().count("slept on"), 10)

    def test_the_guard_of_the_stack_is_looked_at(self):
        """Though loop(), after which the Arduino core looks, never ends."""
        self.join(NETWORK)
        self.board.expect(firmware.CONFIGURATION)
        self.board.process.send_signal(signal.SIGHUP)
        self.board.expect(r"\nStack smashing detected\.\n")
        self.board.expect("Reset reason: 4\r\n")

    def test_a_panic_restarts_with_reason_4(self):
        """The SDK's number for all that the software does itself; 2 is the processor's exceptions alone."""
        self.join(NETWORK)
        self.board.expect(firmware.CONFIGURATION)
        self.board.process.send_signal(signal.SIGWINCH)
        self.board.expect(r"\nPanic the test asked for it\r?\n")
        self.board.expect(r"\nAbort called\n")
        self.board.expect("Reset reason: 4\r\n")
        self.board.expect(JOINED)

    def test_led_and_baud(self):
        self.join(NETWORK + "&ser_baud=74880")
        self.board.expect(firmware.CONFIGURATION)
        start = ["baud 115200", "pin 2 high"]
        self.assertEqual(self.board.pins(), start + start + ["baud 74880"])
        for request, level in (("LedOn", "low"), ("LedOff", "high")):
            self.http("/?request=" + request)
            self.assertEqual(self.board.pins()[-1], f"pin 2 {level}")


class OnThisMachine(firmware.Firmware, unittest.TestCase):
    """Pointers are twice as long here, so the heap's floors only hold the figures to be such."""

    free_at_boot = 40000
    free_in_handshake = 10000
    free_in_small_handshake = 25000
    analog = (512, 0, 0, 0, 0, 0, 0, 0)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with Board(BINARY) as board:
            board.expect(firmware.CONFIGURATION)
            firmware.http(board, "/config?" + NETWORK)
            cls.joined = board.flash()

    def start_board(self):
        return Board(BINARY, self.joined)

    def test_callbacks_run_wherever_it_yields(self):
        """uart_write() does and BearSSL: what comes within a line or a handshake is not lost and does no harm."""
        many, topic = 40, f"mqtt_rx_{firmware.MAC}".encode()
        self.store_ca("ec256")
        broker = self.broker("broker")
        self.to_mqtt(broker, tls_mfl=512)
        self.board.expect("Heap connected: ")
        mqtt = firmware.Mqtt(broker.plain)
        self.addCleanup(mqtt.socket.close)
        body = len(topic).to_bytes(2, "big") + topic + b"x" * 400
        # Each is a line in the log, and the next ones come while it is written.
        mqtt.socket.sendall((b"\x30" + bytes([len(body) & 127 | 128, len(body) >> 7]) + body) * many)
        for _ in range(many):
            self.board.expect(r"MQTT message of \d+ bytes skipped")
        self.assertIn("data within a log line", self.board.notes())
        self.assertIn("data within BearSSL", self.board.notes())
        self.assertEqual(mqtt.ask("LedOn"), "LED is now ON")


if __name__ == "__main__":
    firmware.main()

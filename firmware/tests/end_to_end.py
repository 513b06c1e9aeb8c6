#!/usr/bin/env python3
"""The core on the host against a real Mosquitto, over TLS: end_to_end.py OUT"""
import atexit
import json
import os
import shutil
import subprocess
import tempfile

from host_board import CLIENT_ID, Board, Broker, Mqtt, check, run, main_path
from peers import TimeServer, take_over


def main_path_plain(board, broker, times):
    """MQTT without TLS beside the web server, and from there to TLS over MQTT."""
    fields = f"mqtt_ba=127.0.0.1&mqtt_pt={broker.plain}&mqtt_cl_en=on&mqtt_ssl_en=off"
    check(board.http("/config?" + fields)[0] == 200, "settings")
    check(board.http("/?request=Reset")[1] == b"ESP8266 is restarting", "Reset")
    board.configuration()
    board.log.wait("^ESP8266 Mode: MQTT Client Running$")
    board.log.wait(r"^Attempting MQTT connection\.\.\.connected$")
    board.log.wait("^Heap connected: ")
    mqtt = Mqtt(broker.plain)
    for _ in range(5):
        check(board.http("/config")[0] == 200, "the page beside MQTT")
        check(mqtt.ask("LedOn") == "LED is now ON", "MQTT beside the page")
    sensors = json.loads(board.http("/?request=GetSensors")[1])
    check({"SYS_HeapBoot", "SYS_HeapPage", "SYS_HeapConnected"} < set(sensors), sensors)
    check(board.http(f"/config?mqtt_pt={broker.port}")[0] == 200, "settings")
    answer = mqtt.ask("MqttSslOn")
    check(answer == "MQTT SSL Broker Connection Restored and HTTP Disabled", answer)
    board.log.wait("^Waiting for time....$")
    board.log.wait("^Heap handshake: ")
    board.log.wait("^Heap connected: ")
    # In this mode already: answered, and it stays.
    check(mqtt.ask("MqttSslOn") == answer, "MqttSslOn in TLS mode")
    check(mqtt.ask("LedOff") == "LED is now OFF", "no reset")
    check(mqtt.ask("HttpOn") == "HTTP Server Restored and MQTT Disabled", "HttpOn")
    board.configuration()


def reconnect(board, broker, times):
    """Thrown out again and again by a client of its own name: the heap stays."""
    board.to_mqtt(broker, times, mqtt_ra=0)
    free = set()
    for _ in range(5):
        free.add(board.log.wait(r"^Heap connected: free (\d+),")[1])
        take_over(broker, CLIENT_ID)
        board.log.wait("^MQTT connection lost: closed by the broker$")
    board.log.wait("^Heap connected: ")
    check(len(free) == 1, f"free heap after each connection: {free}")
    check(Mqtt(broker.plain).ask("HttpOn") == "HTTP Server Restored and MQTT Disabled", "HttpOn")
    board.configuration()


def main():
    folder = tempfile.mkdtemp(prefix="core-end-to-end-")
    atexit.register(shutil.rmtree, folder, True)
    times = TimeServer(wrong_first=True)
    board = Board(folder)
    good = Broker(folder, "broker")

    check(board.http("/ca") == (200, b"none"), "no CA yet")
    status, answer = board.http("/?request=MqttSslOn")
    check(b"needs a CA" in answer, answer)
    board.ca("ec256")
    large = main_path(board, good, times)
    small = main_path(board, good, times, tls_mfl=512)
    check(small > large + 14000, f"a fragment length of 512 spares heap: {small}, {large}")
    for size in 1024, 2048, 4096:
        main_path(board, good, times, tls_mfl=size)

    rsa = Broker(folder, "broker_of_rsa")
    board.refuses(rsa, times, 62)
    board.ca("rsa2048")
    main_path(board, rsa, times)
    board.refuses(good, times, 62)
    rsa.end()
    rsa = Broker(folder, "broker_of_rsa4096")
    board.ca("rsa4096")
    main_path(board, rsa, times)
    rsa.end()

    board.ca("ec256")
    impostor = Broker(folder, "broker_of_impostor")
    board.refuses(impostor, times, 62)
    impostor.end()
    wrong = Broker(folder, "wrong_name")
    board.refuses(wrong, times, 56)
    board.refuses(wrong, times, 56, mqtt_bk="127.0.0.1")
    main_path(board, wrong, times, mqtt_bk="elsewhere.test")
    wrong.end()

    times.shift = 20 * 365 * 86400
    board.refuses(good, times, 54)
    times.shift = -20 * 365 * 86400
    board.refuses(good, times, 54)
    times.shift = 0
    times.stratum = 0
    board.refuses(good, times, 53, time_is_known=False)
    times.stratum = 2

    main_path_plain(board, good, times)
    reconnect(board, good, times)

    tls13 = Broker(folder, "broker", "tls_version tlsv1.3")
    board.refuses(tls13, times, 256 + 70)  # alert protocol_version received
    tls13.end()

    # No TLS there at all.
    port, good.port = good.port, good.plain
    board.refuses(good, times, 1001)
    good.port = port

    # User and password.
    passwords = os.path.join(folder, "passwords")
    open(passwords, "w").close()
    subprocess.run(["mosquitto_passwd", "-b", passwords, "board", "geheim"], check=True)
    closed = Broker(folder, "broker", f"password_file {passwords}")
    board.to_mqtt(closed, times)
    board.log.wait(r"^Attempting MQTT connection\.\.\.failed, rc=5 try again in 1 seconds$")
    board.configuration()
    board.to_mqtt(closed, times, mqtt_un="board", mqtt_pw="geheim", mqtt_pw_en="on")
    board.log.wait(r"^Attempting MQTT connection\.\.\.connected$")
    board.log.wait("^Heap connected: ")
    # The broker dies: the board logs that, tries again, gives up and is back.
    closed.end()
    board.log.wait("^MQTT connection lost: closed by the broker$")
    board.log.wait("^MQTT reason: the broker refused the connection$")
    board.configuration()
    main_path(board, good, times, mqtt_pw_en="off")

    # And it is lost and found again: same port, another process.
    board.to_mqtt(good, times, mqtt_ra=0)
    board.log.wait("^Heap connected: ")
    good.end(kill=True)
    board.log.wait("^MQTT connection lost: ")
    board.log.wait("failed, rc=-2 try again in 1 seconds$")
    good.start()
    board.log.wait(r"^Attempting MQTT connection\.\.\.connected$")
    board.log.wait("^Heap connected: ")
    check(Mqtt(good.plain).ask("LedOn") == "LED is now ON", "after the broker came back")

    check(board.child.poll() is None, "the board never crashed")


run(main, "core against a real Mosquitto")

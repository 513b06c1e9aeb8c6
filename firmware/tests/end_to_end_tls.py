#!/usr/bin/env python3
"""What the core's TLS can be set to, on the host against real brokers: end_to_end_tls.py OUT"""
import atexit
import hashlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

from host_board import CERTS, CLIENT_ID, Board, Broker, Mqtt, check, run, main_path
from peers import DEADLINE, MAC, Log, TimeServer, end, free_port, spawn, take_over

# What each choice may end in; the first of each is what OpenSSL was seen to choose.
ECDHE_AEAD_EC = {0xC02B, 0xC02C, 0xCCA9}
ECDHE_AEAD_RSA = {0xC02F, 0xC030, 0xCCA8}
RSA = {0x003C, 0x009C, 0x009D}


class Openssl:
    """openssl s_server, for behaviour that Mosquitto cannot be configured for."""

    def __init__(self, *more):
        self.port = free_port()
        own = ["-cert", f"{CERTS}/broker.pem", "-key", f"{CERTS}/broker.key", "-tls1_2"]
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", *own, *more]
        # It ends with its input.
        self.child = spawn(command, stdin=subprocess.PIPE)
        Log(self.child, "openssl s_server").wait("^ACCEPT")


class Alpn:
    """Accepts one TLS connection, keeps the agreed protocol, and closes it."""

    def __init__(self, *protocols):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f"{CERTS}/broker.pem", f"{CERTS}/broker.key")
        self.context.set_alpn_protocols(protocols)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(DEADLINE)
        self.port = self.socket.getsockname()[1]
        self.agreed = "no connection"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        stream, _ = self.socket.accept()
        stream.settimeout(DEADLINE)
        with self.context.wrap_socket(stream, server_side=True) as tls:
            tls.recv(1000)  # the board's CONNECT
            self.agreed = tls.selected_alpn_protocol()


def last_suite(board):
    """The suite of the last handshake in the log."""
    lines = [line for line in board.log.seen if line.startswith("TLS: version 1.2, suite 0x")]
    return int(lines[-1].split()[4].rstrip(","), 16)


def main_path_with(board, broker, times, suites, **more):
    main_path(board, broker, times, **more)
    suite = last_suite(board)
    check(suite in suites, f"{more}: suite {suite:#06x}")


def suites(board, folder, times):
    ec, rsa = Broker(folder, "broker"), Broker(folder, "broker_of_rsa")
    board.ca("ec256")
    main_path_with(board, ec, times, ECDHE_AEAD_EC, tls_cs="aead")
    main_path_with(board, ec, times, {0xC023}, tls_cs="cbc")
    # It offers nothing that goes with an ECDSA certificate.
    board.refuses(ec, times, 256 + 40, tls_cs="rsa")
    board.refuses(ec, times, 256 + 40, tls_cs="static-rsa")
    board.ca("rsa2048")
    main_path_with(board, rsa, times, ECDHE_AEAD_RSA, tls_cs="rsa")
    main_path_with(board, rsa, times, RSA, tls_cs="static-rsa")
    main_path_with(board, rsa, times, {0xC027, 0x003C}, tls_cs="cbc")
    main_path_with(board, rsa, times, ECDHE_AEAD_RSA, tls_cs="all")
    ec.end()
    rsa.end()


def pin(board, folder, times):
    """No CA, no time, another name: the pinned certificate is trusted, and no other."""

    def digest(name):
        with open(f"{CERTS}/{name}.der", "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    ec, rsa = Broker(folder, "wrong_name"), Broker(folder, "broker_of_rsa")
    check(board.http("/ca")[1] == b"none", "no CA is stored")
    times.stratum = 0
    main_path(board, ec, times, time_is_known=None, tls_pn=digest("wrong_name"))
    main_path(board, ec, times, time_is_known=None, mqtt_bk="")
    main_path(board, rsa, times, time_is_known=None, tls_pn=digest("broker_of_rsa"), tls_mfl=512)
    board.refuses(ec, times, 1006, time_is_known=None)
    board.refuses(ec, times, 1006, time_is_known=None, tls_pn=digest("broker"))
    times.stratum = 2
    status, _ = board.http("/config?tls_pn=")
    check(status == 200, f"no pin: {status}")
    status, answer = board.http("/?request=MqttSslOn")
    check(b"needs a CA" in answer, answer)
    ec.end()
    rsa.end()


def own_certificate(board, folder, times):
    def upload(*names):
        pem = b""
        for name in names:
            with open(f"{CERTS}/{name}", "rb") as file:
                pem += file.read()
        return board.http("/cert", pem)

    closed = Broker(folder, "broker", "require_certificate true", f"cafile {CERTS}/ec256.pem")
    board.ca("ec256")
    check(board.http("/cert") == (200, b"none"), "no certificate yet")
    board.refuses(closed, times, 256 + 40)
    with open(f"{CERTS}/client.der", "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest().encode()
    answer = upload("client.pem", "client.key")
    check(answer == (200, b"Certificate stored: " + digest), answer)
    main_path(board, closed, times)
    answer = upload("client.sec1", "client.pem", "ec256.pem")
    check(answer == (200, b"Certificate stored: " + digest), answer)
    main_path(board, closed, times, tls_mfl=512)
    status, answer = upload("client.pem", "broker.key")
    check(status == 400 and b"not the first certificate's" in answer, answer)
    check(board.http("/cert") == (200, digest), "what was refused changed nothing")
    key = open(f"{CERTS}/client.key", encoding="ascii").read().split("\n")[1]
    shown = board.http("/config")[1].decode() + "\n".join(board.log.seen)
    check(digest.decode() in shown and key not in shown, "the digest is shown, the key is not")
    # One that this broker does not know.
    upload("client_of_impostor.pem", "client_of_impostor.key")
    board.refuses(closed, times, 256 + 48, tls_mfl=16384)
    check(board.http("/cert", b"") == (200, b"Certificate removed"), "removed by an empty POST")
    check(board.http("/cert") == (200, b"none"), "it is gone")
    upload("client.pem", "client.key")
    check(board.http("/cert", method="DELETE") == (200, b"Certificate removed"), "and by DELETE")
    check(board.http("/cert") == (200, b"none"), "it is gone")
    check(board.http("/ca", method="DELETE")[0] == 405, "the CA stays")
    # With a small record, as most brokers are met.
    main_path(board, Broker(folder, "broker"), times, tls_mfl=512)
    closed.end()


def resumption(board, folder, times):
    """The same session, connection after connection; never another heap."""
    broker = Broker(folder, "broker")
    board.to_mqtt(broker, times, mqtt_ra=0, tls_rs="on", tls_mfl=512)
    free = set()
    for round in range(4):
        how = "resumed" if round > 0 else "full handshake"
        board.log.wait(r"^TLS: version 1\.2, suite 0x[0-9A-F]{4}, record 512, handshake \d+ ms$")
        line = board.log.wait("^TLS session: ").string
        check(line == f"TLS session: {how}", f"connection {round}: {line}")
        free.add(board.log.wait(r"^Heap connected: free (\d+),")[1])
        take_over(broker, CLIENT_ID)
        board.log.wait("^MQTT connection lost: closed by the broker$")
    check(len(free) == 1, f"free heap after each connection: {free}")
    # Another process knows nothing of it: a full handshake again.
    board.log.wait("^Heap connected: ")
    broker.restart()
    board.log.wait("^MQTT connection lost: ")
    check(board.log.wait("^TLS session: ").string.endswith("full handshake"), "after a restart")
    board.log.wait("^Heap connected: ")
    check(Mqtt(broker.plain).ask("HttpOn").startswith("HTTP Server Restored"), "HttpOn")
    board.configuration()
    board.http("/config?tls_rs=off&tls_mfl=16384")
    broker.end()


def will(board, folder, times):
    broker = Broker(folder, "broker")
    board.to_mqtt(broker, times, mqtt_ra=0, mqtt_wl="on")
    board.log.wait("^Heap connected: ")
    watcher = Mqtt(broker.plain, topic=f"mqtt_tx_{MAC}/will")
    take_over(broker, CLIENT_ID)
    will = watcher.receive()
    check(will == CLIENT_ID, f"the last will: {will}")
    board.log.wait("^Heap connected: ")
    check(Mqtt(broker.plain).ask("HttpOn").startswith("HTTP Server Restored"), "HttpOn")
    board.configuration()
    board.http("/config?mqtt_wl=off")
    broker.end()


def protocols(board, times):
    for offered, agreed in ("mqtt", "mqtt"), ("x-amzn-mqtt-ca", "x-amzn-mqtt-ca"), ("", None):
        server = Alpn("x-amzn-mqtt-ca", "mqtt")
        board.to_mqtt(server, times, tls_al=offered)
        board.log.wait("failed, rc=-3 try again in 1 seconds$")
        # The failure came after a handshake, which is in the log.
        board.log.wait(r"^TLS: version 1\.2, suite 0x[0-9A-F]{4}, record 16384, handshake \d+ ms$")
        board.configuration()
        server.thread.join(DEADLINE)
        server.socket.close()
        check(server.agreed == agreed, f"offered {offered}, agreed on {server.agreed}")


def alerts(board, times):
    """A broker's refusals by alert: each in words."""
    second = ["-cert2", f"{CERTS}/wrong_name.pem", "-key2", f"{CERTS}/wrong_name.key"]
    server = Openssl("-servername", "elsewhere.test", "-servername_fatal", *second)
    board.refuses(server, times, 256 + 112)
    check("unrecognized_name: it does not know mqtt_bk" in board.log.seen_line("TLS error"), "112")
    end(server.child)
    server = Openssl("-alpn", "other")
    board.refuses(server, times, 256 + 120, tls_al="mqtt")
    check("no_application_protocol" in board.log.seen_line("TLS error"), "120")
    end(server.child)
    board.http("/config?tls_al=")


def main():
    folder = tempfile.mkdtemp(prefix="core-end-to-end-tls-")
    atexit.register(shutil.rmtree, folder, True)
    times = TimeServer(wrong_first=True)
    board = Board(folder)
    pin(board, folder, times)
    suites(board, folder, times)
    own_certificate(board, folder, times)
    resumption(board, folder, times)
    will(board, folder, times)
    protocols(board, times)
    alerts(board, times)
    check(board.child.poll() is None, "the board never crashed")


run(main, "TLS settings against real brokers")

#!/usr/bin/env python3
"""How deep loop()'s stack gets: stack.py LIMIT CI...

CI are gcc's call graphs with stack usage (-fcallgraph-info=su), of the firmware and of BearSSL, compiled for
the chip. The deepest way down from port_run() must fit LIMIT bytes (CONT_STACKSIZE), with what an
interrupt of the SDK adds. A call through a pointer goes to all its TARGETS.
A path into an unknown function ends the check.
"""

import re
import sys

ROOT = "port_run"
# An interrupt of the SDK at the deepest moment: 256 bytes of frame, and its handlers. The Arduino core's
# postmortem counts the same.
INTERRUPT = 352
# BearSSL here is upstream's, as on the virtual board. The fork of the Arduino core, compiled and added up
# in the same way, goes 288 bytes deeper (by the verification of the broker's signature: 6,096).
FORK = 288
# Functions of others that use the stack themselves, in bytes; all that is not here takes no more than
# OTHER. vsnprintf is newlib's with its conversions, the flash functions have a page on the stack, lwIP
# goes down to the driver.
OTHER = 160
EXTERNAL = {
    r"mem\w+|str\w+|__\w+": 32,
    r"v?snprintf": 900,
    r"EspClass::flash\w+\(.*": 600,
    r"tcp_\w+|udp_\w+|dns_\w+|pbuf_\w+": 700,
    r"ESP8266WiFi\w+::.*": 700,
    r"malloc|calloc|free": 160,
    r"delay|yield|esp_\w+.*|optimistic_yield|cont_check|system_restart": 96,
}
# Where a call through a pointer leads: the caller, and what it may call.
TARGETS = (
    # The core's own tables of handlers, and the port.
    (r"request_answer", (r"core/requests\.c:(get_sensors|led_on|led_off|blink_led|http_on|mqtt_ssl_on|reset)",)),
    (r"query_end", ("request_take", "form_take")),
    (r"core/http_answers\.c:answer_digest", ("ca_digest", "identity_digest")),
    # BearSSL, from the engine to the arithmetic. The fork has the variants with 15 bits.
    (r"br_ssl_engine_hs_reset|src/ssl/ssl_engine\.c:jump_handshake", ("br_ssl_hs_client_run",)),
    (r"src/ssl/ssl_engine\.c:(make_ready_\w+|sendpld_\w+|recvrec_\w+)|br_ssl_engine_(recv|send)(rec|app|pld)_ack",
        (r"src/ssl/ssl_rec_\w+\.c:\w+_(check_length|decrypt|max_plaintext|encrypt)",)),
    (r"src/ssl/ssl_engine\.c:compute_key_block", ("PRF",)),
    (r"br_ssl_engine_(compute_master|init_rand)", ("PRF", r"br_hmac_drbg_\w+")),
    (r"br_ssl_hs_client_run", ("X509", "CERT", "PRF", "HASH")),
    (r"src/ssl/ssl_hs_client\.c:verify_SKE_sig", ("KEY", "HASH", "RSA", "VERIFY")),
    (r"src/ssl/ssl_hs_client\.c:make_pms_\w+", ("KEY", "EC", "RSA")),
    (r"src/ssl/ssl_hs_client\.c:make_client_sign", ("CERT",)),
    (r"src/ssl/ssl_ccert_single_ec\.c:.*", ("HASH", "EC", "SIGN")),
    (r"br_x509_minimal_run|src/x509/x509_minimal\.c:.*", ("HASH", "RSA", "VERIFY")),
    (r"br_x509_decoder_run", (r"core/(ca|identity)\.c:keep_\w+",)),
    (r"br_pem_decoder_run", (r"core/\w+\.c:keep_\w+",)),
    (r"br_ecdsa_.*|br_ec_compute_pub|br_ec_keygen", ("EC", "HASH")),
    (r"src/ec/ec_all_m15\.c:.*", (r"src/ec/ec_(p256_m15|prime_i15|c25519_m15)\.c:api_\w+",)),
    (r"br_hmac_\w+|src/mac/hmac\w*\.c:.*|br_multihash_\w+|br_mgf1_xor", ("HASH",)),
    (r"br_ssl_engine_switch_\w+|src/ssl/ssl_rec_\w+\.c:.*", (r"br_(aes_ct|chacha20_ct|poly1305_ctmul32|ghash_ctmul32)\w*",)),
    (r"br_poly1305_\w+|br_gcm_\w+", (r"br_chacha20_ct_run|br_aes_ct_ctr_run|br_ghash_ctmul32",)),
    # All else of the core calls the port, and nothing but the port.
    (r"[a-z0-9_]+|core/\w+\.c:.*", ("PORT",)),
)
GROUPS = {
    "PORT": (r"ports/common/port_table\.c:port_\w+",),
    "X509": (r"src/x509/x509_minimal\.c:xm_\w+", r"core/pin\.c:\w+"),
    "CERT": (r"src/ssl/ssl_ccert_single_ec\.c:cc_\w+",),
    "PRF": (r"br_tls12_sha(256|384)_prf",),
    "HASH": (r"br_sha(1|224|256|384|512)_\w+",),
    "EC": (r"src/ec/ec_all_m15\.c:api_\w+",),
    "RSA": (r"br_rsa_i15_(pkcs1_vrfy|public)",),
    "KEY": (r"src/x509/x509_minimal\.c:xm_get_pkey", r"core/pin\.c:key"),
    "VERIFY": (r"br_ecdsa_i15_vrfy_\w+",),
    "SIGN": (r"br_ecdsa_i15_sign_\w+",),
}
# Calls itself, once: for the split record of TLS 1.0.
TWICE = ("src/ssl/ssl_rec_cbc.c:cbc_encrypt",)
INDIRECT = "__indirect_call"


def read(files):
    """Bytes of each function, and whom it calls. A static one has its file in its name."""
    sizes, calls = {}, {}
    for name in files:
        with open(name, encoding="utf-8") as file:
            for line in file:
                line = re.sub(r'"[^"]*/bearssl/(?=src/)', '"', line)
                node = re.match(r'node: \{ title: "([^"]+)" label: "([^"]*)"', line)
                edge = re.match(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', line)
                if node:
                    bytes_ = re.search(r"(\d+) bytes \(([\w,]+)\)", node[2])
                    if bytes_:
                        if bytes_[2] != "static":
                            sys.exit(f"stack.py: {node[1]} takes stack by what it is given ({bytes_[2]})")
                        sizes[node[1]] = int(bytes_[1])
                elif edge:
                    calls.setdefault(edge[1], set()).add(edge[2])
    return sizes, calls


def targets(caller, sizes):
    for pattern, groups in TARGETS:
        if re.fullmatch(pattern, caller):
            forms = [form for group in groups for form in GROUPS.get(group, (group,))]
            found = {name for name in sizes if any(re.fullmatch(form, name) for form in forms)}
            if found:
                return found - {caller}
            sys.exit(f"stack.py: {caller} calls through a pointer, and nothing is there: {forms}")
    sys.exit(f"stack.py: {caller} calls through a pointer: TARGETS must have its targets")


class Depths:
    def __init__(self, sizes, calls):
        self.sizes, self.calls = sizes, calls
        self.known = {}  # function: (bytes from there on, the way)
        self.entered = []

    def of(self, function):
        if function in self.known:
            return self.known[function]
        if function not in self.sizes:
            for pattern, size in EXTERNAL.items():
                if re.fullmatch(pattern, function):
                    return size, ((function, size),)
            return OTHER, ((function, OTHER),)
        if function in self.entered:
            circle = " > ".join(self.entered[self.entered.index(function) :] + [function])
            sys.exit(f"stack.py: a recursion of unknown depth: {circle}")
        self.entered.append(function)
        below = (0, ())
        twice = function in TWICE
        for callee in self.calls.get(function, set()) - ({function} if twice else set()):
            for each in targets(function, self.sizes) if callee == INDIRECT else (callee,):
                below = max(below, self.of(each))
        self.entered.pop()
        own = self.sizes[function] * (2 if twice else 1)
        self.known[function] = (own + below[0], ((function, own), *below[1]))
        return self.known[function]


def main(limit, *files):
    sizes, calls = read(files)
    if ROOT not in sizes:
        sys.exit(f"stack.py: no {ROOT} in the call graphs")
    total, way = Depths(sizes, calls).of(ROOT)
    total += INTERRUPT + FORK
    print(
        f"stack: at most {total} of {limit} bytes: {INTERRUPT} an interrupt of the SDK, {FORK} the fork of BearSSL, and"
    )
    for function, size in way:
        print(f"  {size:5} {function}")
    if total > int(limit):
        sys.exit(f"stack.py: {total - int(limit)} bytes more than loop()'s stack has")


if __name__ == "__main__":
    main(*sys.argv[1:])

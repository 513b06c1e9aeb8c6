#!/usr/bin/env python3
"""The data memory of the ESP8266, and what of it is left for the heap.

    budget.py OBJECT VIRTUAL TAKEN CONT_STACKSIZE FLOORS [--bytes-fault]    without the Arduino core: OBJECT is all of the
                                        firmware in one, VIRTUAL the virtual board's ELF file, TAKEN a file
                                        with what a handshake takes (handshake.py), FLOORS the configuration
                                        with the floors of an ESP8266; --bytes-fault where the image lacks
                                        the handler that does byte reads of flash
    budget.py --image ELF               of the image that PlatformIO has linked

Fails when the heap at start, or what a handshake leaves of it, is below the aim, or a floor cannot be reached.
"""

import fnmatch
import os
import re
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "../../../tools"))
from elf import Elf  # noqa: E402

DATA_MEMORY = 81920
HEAP_END = 0x3FFFC000
# What the port must leave.
AIM_AT_START = 40000
AIM_IN_HANDSHAKE = 12000
# Measured, with the Arduino core 3.1.2 and its SDK: the static data of a minimal sketch that joins a
# Wi-Fi; what this firmware links of the core and of BearSSL besides (jump tables that the compiler
# leaves in data memory, the core's PWM); the heap that joining a Wi-Fi takes.
SKETCH = 28776
LIBRARIES = 1200
WIFI = 2640
# cont_t around the stack itself.
CONT = 40
# What the core's linker script (tools/sdk/ld/eagle.app.v6.common.ld.h) places in flash, though its
# name is that of data.
IN_FLASH = (".rodata._ZZ*__pstr__*", ".irom0.text*", ".irom.text*", ".irom0.pstr.*")
IN_DATA = re.compile(r"\.(data|rodata|bss|noinit|sdata|sbss)(\.|$)|COMMON$")


def sections(path):
    """Bytes in data memory by kind, and of constants in flash."""
    size = os.environ.get("SIZE", "xtensa-lx106-elf-size")
    text = subprocess.run([size, "-A", path], capture_output=True, text=True, check=True).stdout
    data, flash = {}, 0
    for line in text.splitlines():
        words = line.split()
        if len(words) != 3 or not words[1].isdigit():
            continue
        kind = IN_DATA.match(words[0])
        if any(fnmatch.fnmatchcase(words[0], form) for form in IN_FLASH):
            flash += int(words[1])
        elif kind:
            data[kind[1]] = data.get(kind[1], 0) + int(words[1])
    return data, flash


def judge(what, found, aim):
    print(f"{what}: {found} bytes, the aim is {aim}")
    return found >= aim


def image(path):
    return judge("heap at start", HEAP_END - Elf(path).symbols["_heap_start"], AIM_AT_START)


def floors(path):
    """Bytes that a phase must keep on an ESP8266; its lines may be commented out."""
    with open(path, encoding="utf-8") as file:
        part = file.read().split("[firmware.esp8266]")[1].split("[firmware.")[0]
    found = re.search(r"^(?:# )?floor = \{(.*)\}$", part, re.MULTILINE)
    return {phase: int(kib) * 1024 for phase, kib in re.findall(r'(\w+) = "(\d+) KiB"', found[1])}


def without_core(linked, virtual, taken, stack, configuration, *bytes_fault):
    data, flash = sections(linked)
    if flash and bytes_fault:
        sys.exit(
            f"budget.py: {flash} bytes of constants are in flash, and nothing does byte reads there: "
            "set NON32XFER_HANDLER (platformio.ini)"
        )
    own = sum(data.values())
    symbol = Elf(virtual).symbols
    with open(taken, encoding="ascii") as file:
        handshake = int(file.read())
    virtual_heap = symbol["_heap_end"] - symbol["_heap_start"]
    virtual_own = DATA_MEMORY - virtual_heap - symbol["_sdk_reserve"]
    stack = int(stack) + CONT
    heap = DATA_MEMORY - SKETCH - LIBRARIES - stack - own
    rows = (
        ("SDK, Arduino core (virtual board: a reserve of that size)", SKETCH, symbol["_sdk_reserve"]),
        ("of core and BearSSL besides", LIBRARIES, 0),
        ("stack of the firmware (virtual board: elsewhere)", stack, 0),
        ("firmware: .data, .rodata, .bss (virtual board: with lwIP)", own, virtual_own),
        ("heap at start", heap, virtual_heap),
        ("Wi-Fi joined (virtual board: in the next line)", WIFI, 0),
        ("most that a TLS handshake takes", handshake, handshake),
        ("left", heap - WIFI - handshake, virtual_heap - handshake),
    )
    print(f"{'bytes of data memory':<60} {'esp8266':>8} {'virtual':>8}")
    for what, here, there in rows:
        print(f"{what:<60} {here:>8} {there:>8}")
    parts = ", ".join(f".{kind} {size}" for kind, size in sorted(data.items()))
    print(f"of the firmware: {parts}; constants in flash {flash}")
    floor = floors(configuration)
    # All of them, so that one run reports all.
    return all(
        [
            judge("heap at start", heap, AIM_AT_START),
            judge("left in a handshake", heap - WIFI - handshake, AIM_IN_HANDSHAKE),
            judge("the floor of the boot", heap - WIFI, floor["boot"]),
            judge("the floor of a handshake", heap - WIFI - handshake, floor["handshake"]),
        ]
    )


if __name__ == "__main__":
    kept = image(sys.argv[2]) if sys.argv[1] == "--image" else without_core(*sys.argv[1:])
    sys.exit(None if kept else "budget.py: the heap is smaller than the aim")

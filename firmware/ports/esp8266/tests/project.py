#!/usr/bin/env python3
"""What platformio.ini builds, for a Makefile in firmware/:

    project.py sources | defines | includes | own-flags
    project.py build-id FOLDER      runs prebuild.py, which writes FOLDER/build_id.h
"""

import configparser
import sys
from pathlib import Path

PORT = Path(__file__).resolve().parents[1]
FIRMWARE = PORT.parents[1]


class Environment:
    """What prebuild.py asks of PlatformIO's."""

    def __init__(self, build):
        self.names = {"$PROJECT_DIR": str(PORT), "$BUILD_DIR": build}
        self.added = []

    def subst(self, name):
        return self.names[name]

    def PioPlatform(self):
        return self

    def get_package_dir(self, name):
        assert name == "framework-arduinoespressif8266", name
        return "framework"

    def Append(self, CPPPATH):
        self.added += CPPPATH


def sources(lines):
    chosen = set()
    for line in lines:
        sign, pattern = line[0], line[1:].strip("<>")
        found = {p.relative_to(FIRMWARE).as_posix() for p in FIRMWARE.glob(pattern)}
        if sign == "+":
            assert found, f"platformio.ini: {pattern} is no file"
            chosen |= found
        else:
            chosen = set() if pattern == "*" else chosen - found
    return sorted(chosen)


def includes(lines):
    for line in lines:
        if line.startswith("-I"):
            yield "-I" + (PORT / line[2:]).resolve().relative_to(FIRMWARE).as_posix()


def own_flags(lines):
    """Of the firmware's sources, without the folders and the warnings."""
    for line in lines:
        if not line.startswith(("-I", "-Wall", "-Wextra")):
            yield line.replace("-D ", "-D")


def main(what, *more):
    if what == "build-id":
        environment = Environment(*more)
        script = compile((PORT / "prebuild.py").read_text(), "prebuild.py", "exec")
        exec(script, {"Import": lambda name: None, "env": environment})
        assert environment.added == [
            str(Path(more[0]).resolve()),
            "framework/tools/sdk/include/bearssl",
        ], environment.added
        return
    config = configparser.ConfigParser(interpolation=None)
    config.read(PORT / "platformio.ini")
    section = config["env:esp12e"]

    def lines(key):
        return section[key].strip().splitlines()

    if what == "sources":
        print(*sources(lines("build_src_filter")))
    elif what == "defines":
        print(*(line.replace("-D ", "-D") for line in lines("build_flags")))
    elif what == "own-flags":
        print(*own_flags(lines("build_src_flags")))
    else:
        print(*includes(lines("build_src_flags")))


if __name__ == "__main__":
    main(*sys.argv[1:])

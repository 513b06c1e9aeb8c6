"""Before PlatformIO builds: the build id, and where the Arduino core keeps BearSSL's headers."""

import subprocess
import sys
from pathlib import Path

Import("env")  # noqa: F821: PlatformIO's

PROJECT = Path(env.subst("$PROJECT_DIR")).resolve()  # noqa: F821
FIRMWARE = PROJECT.parents[1]
BUILD = Path(env.subst("$BUILD_DIR")).resolve()  # noqa: F821
SOURCES = (
    "core/*.[ch]",
    "heap/heap.h",
    "ports/common/*.[ch]",
    "ports/esp8266/*.cpp",
    "ports/esp8266/platformio.ini",
    "ports/esp8266/prebuild.py",
)

# platformio.ini is one of the files, and with it every flag and version. PlatformIO's own folder
# (.pio) and what else lies beside the sources is none: the id is the same on every machine.
found = (file for form in SOURCES for file in FIRMWARE.glob(form))
files = sorted(str(file.relative_to(FIRMWARE)) for file in found if file.is_file())
BUILD.mkdir(parents=True, exist_ok=True)
build_id = [sys.executable, "tools/build_id.py", str(BUILD / "build_id.h"), "esp8266", *files]
subprocess.run(build_id, cwd=FIRMWARE, check=True)

framework = env.PioPlatform().get_package_dir("framework-arduinoespressif8266")  # noqa: F821
# The sources say <bearssl.h>, as BearSSL's own documentation does.
env.Append(CPPPATH=[str(BUILD), str(Path(framework) / "tools/sdk/include/bearssl")])  # noqa: F821

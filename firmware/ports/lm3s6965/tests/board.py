"""The LM3S6965 on QEMU for the tests: its EEPROM with a seed, its MAC address."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "../../common/tests"))
from process import DEADLINE  # noqa: E402
from qemu import Qemu  # noqa: E402

__all__ = ["DEADLINE", "Board", "EEPROM_SIZE", "SEED_AT"]
EEPROM_SIZE = 16384
SEED_AT = 8192
MAC = "18:fe:34:a2:66:29"


class Board(Qemu):
    """QEMU with `image` in its flash and an EEPROM that is blank but for `seed`."""

    def __init__(self, image, seed=True, eeprom=True, listen=True):
        super().__init__(listen)
        arguments = (
            "-M lm3s6965evb"
            f" -qtest unix:{self.path}/qtest,server=on,wait=off -qtest-log /dev/null"
            f" -gdb unix:{self.path}/gdb,server=on,wait=off"
            f" -nic user,id=n0,mac={MAC},hostfwd=tcp:127.0.0.1:{self.port}-:9705 -kernel {image}"
        )
        if eeprom:
            content = bytearray(b"\xff" * EEPROM_SIZE)
            if seed:
                content[SEED_AT : SEED_AT + 64] = os.urandom(64)
            with open(f"{self.path}/eeprom", "wb") as file:
                file.write(content)
            arguments += (
                f" -drive if=none,id=ee,format=raw,file={self.path}/eeprom -device"
                f" at24c-eeprom,bus=i2c,address=0x50,rom-size={EEPROM_SIZE},drive=ee"
            )
        self.launch("qemu-system-arm", arguments)

    def seed(self):
        with open(f"{self.path}/eeprom", "rb") as file:
            return file.read()[SEED_AT : SEED_AT + 64]

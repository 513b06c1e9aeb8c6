"""The virtual board for test_port.py: its flash, its identity."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "../../common/tests"))
from process import DEADLINE  # noqa: E402
from qemu import Qemu  # noqa: E402

__all__ = ["DEADLINE", "Board"]
FLASH_SIZE = 4 << 20


class Board(Qemu):
    """QEMU with `image` at the start of its flash."""

    def __init__(self, rom, image, identity=None, listen=True):
        super().__init__(listen)
        with open(f"{self.path}/flash", "wb") as file:
            file.write(image + b"\xff" * (FLASH_SIZE - len(image)))
        arguments = (
            "-M lx60-nommu -cpu lx106 -m 1M"
            f" -nic user,id=n0,hostfwd=tcp:127.0.0.1:{self.port}-:9705"
            f" -drive if=pflash,format=raw,file={self.path}/flash -kernel {rom}"
        )
        if identity is not None:
            with open(f"{self.path}/identity", "wb") as file:
                file.write(identity)
            arguments += f" -device loader,file={self.path}/identity,addr=0x60001300,force-raw=on"
        self.launch("qemu-system-xtensa", arguments)

"""The port on this machine, with fake/ around it: its flash, its pins."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "../../common/tests"))
from process import DEADLINE, Process  # noqa: E402

__all__ = ["BLANK", "DEADLINE", "SLOTS", "Board"]
FLASH_SIZE = 4 << 20
SLOTS = (0x3FA000, 0x3FB000)
BLANK = b"\xff" * FLASH_SIZE


class Board(Process):
    """`flash` is what the board starts with; its time passes `hurry` times as fast."""

    def __init__(self, binary, flash=BLANK, hurry=1):
        super().__init__()
        with open(f"{self.path}/flash", "wb") as file:
            file.write(flash)
        self.errors = open(f"{self.path}/pins", "wb")
        self.launch(binary, f"{self.path}/flash", str(self.port), str(hurry))

    def __exit__(self, *unused):
        self.errors.close()
        super().__exit__(*unused)

    def flash(self):
        with open(f"{self.path}/flash", "rb") as file:
            return file.read()

    def notes(self):
        """All that the fake reports, oldest first; and a sanitizer's output."""
        with open(f"{self.path}/pins", encoding="utf-8") as file:
            return file.read().splitlines()

    def pins(self):
        """What was done with pins and baud."""
        return [note for note in self.notes() if note.startswith(("pin ", "baud "))]

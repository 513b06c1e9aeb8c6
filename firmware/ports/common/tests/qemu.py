"""A board on QEMU for the ports' tests."""

import json
import socket

from process import DEADLINE, Process


class Qemu(Process):
    """QEMU with `arguments`, which may name self.port and self.path."""

    def launch(self, binary, arguments):
        common = (
            "-display none -monitor none -serial stdio"
            f" -qmp unix:{self.path}/qmp,server=on,wait=off {arguments}"
        )
        super().launch(binary, *common.split())

    def qmp(self, name, /, **arguments):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(DEADLINE)
            control.connect(f"{self.path}/qmp")
            file = control.makefile("rw")
            file.readline()
            for command in ({"execute": "qmp_capabilities"}, {"execute": name, "arguments": arguments}):
                file.write(json.dumps(command) + "\n")
                file.flush()
                while "event" in (answer := json.loads(file.readline())):
                    pass
            return answer["return"]

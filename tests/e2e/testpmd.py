# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd as a program on the emulated DPU, and raw sockets as the far ends of its wires."""

import ctypes
import json
import os
import select
import socket
import struct
import subprocess
import time

from lab import BIN, LabError

DRIVER = BIN / "librte_net_emudpu.so"
PROMPT = "testpmd> "


# <linux/if_packet.h>
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4


def with_tag(frame, extra):
    """The frame as it was on the wire: the kernel takes an outer VLAN tag out and tells it beside."""
    for level, kind, data in extra:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


class Wire:
    """A raw socket on an interface of a host: sends frames and sees those that arrive."""

    def __init__(self, host, interface):
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", encoding="ascii") as home, \
                open(f"/run/netns/{host.netns}", encoding="ascii") as away:
            if libc.setns(away.fileno(), 0) != 0:
                raise LabError(f"cannot enter {host.netns}")
            try:
                self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
                self.socket.bind((interface, 0))
                self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            finally:
                libc.setns(home.fileno(), 0)

    def send(self, frame):
        self.socket.send(bytes(frame))

    def receive(self, timeout=2.0):
        """The next frame that arrives from the other side; None if there is none in time."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                break
            frame, extra, _, address = self.socket.recvmsg(65536, 256)
            if address[2] != socket.PACKET_OUTGOING:
                return with_tag(frame, extra)
        return None

    def is_quiet(self, seconds=0.2):
        return self.receive(seconds) is None

    def drain(self):
        while self.receive(0.05) is not None:
            pass


class Testpmd:
    """An interactive dpdk-testpmd in a host's namespace."""

    __test__ = False

    def __init__(self, lab, host, *vdevs, options=(), telemetry=None):
        # Its own lines must not lag behind the prompt, which is written at once.
        command = ["stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "-l", "0,1", "-d", DRIVER]
        # Telemetry's socket lies in the runtime folder of EAL, which follows the environment.
        self.runtime = telemetry
        command += ["--file-prefix=card"] if telemetry else ["--no-shconf", "--no-telemetry"]
        env = {**os.environ, "RUNTIME_DIRECTORY": str(telemetry)} if telemetry else None
        if telemetry:
            telemetry.mkdir()
        for vdev in vdevs:
            command += ["--vdev", vdev]
        self.process = host.start(*command, "--", "-i", "--total-num-mbufs=4096", "--disable-rss", *options,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env=env)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.banner = self._read_to_prompt(30)

    def _read_to_prompt(self, timeout):
        text = b""
        deadline = time.monotonic() + timeout
        while not text.endswith(PROMPT.encode()):
            left = deadline - time.monotonic()
            if left <= 0 or self.process.poll() is not None:
                raise LabError(f"testpmd: no prompt\n{text.decode(errors='replace')[-3000:]}")
            if select.select([self.process.stdout], [], [], left)[0]:
                text += self.process.stdout.read() or b""
        return text.decode(errors="replace")

    def __call__(self, command, timeout=10):
        """Runs a command and returns what it printed."""
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self._read_to_prompt(timeout)

    def telemetry(self, command):
        """Asks EAL's telemetry and returns the answer's value."""
        path = next(self.runtime.rglob("dpdk_telemetry.v2"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(str(path))
            client.recv(4096)
            client.send(command.encode())
            return json.loads(client.recv(65536))[command.split(",")[0]]

    def create(self, rule, port):
        """Creates a rule and returns its number; the output is the error's text if there is one."""
        output = self(f"flow create {port} {rule}")
        marker = "Flow rule #"
        if marker not in output:
            raise LabError(f"flow create {port} {rule}\n{output}")
        return int(output.split(marker)[1].split()[0])

    def count(self, rule, port):
        """Packets and bytes of a rule's COUNT action."""
        words = self(f"flow query {port} {rule} count").replace(":", " ").split()
        return (int(words[words.index("hits") + 1]), int(words[words.index("bytes") + 1]))

    def xstat(self, name, port):
        for line in self(f"show port xstats {port}").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split(":")[1])
        raise LabError(f"no statistic {name}")

    def quit(self):
        self.process.stdin.write(b"quit\n")
        self.process.stdin.flush()
        self.process.wait(20)
        return self.process.returncode

# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch with DPDK as the peer of the scenario `full`: the same policy as OpenFlow.

VM -> virtual address -> one of 8 backends behind VXLAN tunnels, stateful: connection tracking, DNAT, a
security group of as many rules, routing (MACs, TTL) and the tunnel; and back. Connections are made and
answered before anything is measured, so that they are established. It runs in a network namespace of its
own with its database in the benchmark's folder.
"""

import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import time

from common import BenchError, CORE, stop

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
MAX_FLOWS = 120_000  # The packets of both capture files have to fit into its 262,144 buffers.
BACKENDS = range(20, 28)
PCAP_HEADER = struct.Struct("<IHHIIII")
PACKET_HEADER = struct.Struct("<IIII")


def read_pcap(path):
    data = pathlib.Path(path).read_bytes()
    frames, at = [], PCAP_HEADER.size
    while at + PACKET_HEADER.size <= len(data):
        size = PACKET_HEADER.unpack_from(data, at)[2]
        at += PACKET_HEADER.size
        frames.append(data[at:at + size])
        at += size
    return frames


def write_pcap(path, frames):
    with open(path, "wb") as file:
        file.write(PCAP_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
        for frame in frames:
            file.write(PACKET_HEADER.pack(0, 0, len(frame), len(frame)) + frame)


def turned(frame):
    """An Ethernet, IPv4 and UDP stack with its ends swapped; sums do not change."""
    return (frame[6:12] + frame[:6] + frame[12:26] + frame[30:34] + frame[26:30] + frame[36:38] +
            frame[34:36] + frame[38:])


def reply_to(frame, vm_mac):
    """What the far end answers to a frame in a tunnel; the port of VXLAN is the receiver's."""
    outer, inner = turned(frame[:50]), turned(frame[50:])
    return outer[:34] + frame[34:38] + outer[38:] + vm_mac + inner[6:]


def mac_text(raw):
    return ":".join(f"{byte:02x}" for byte in raw)


def firewall(rules):
    """Table 2: rules that do not match, and at the end the one that does."""
    for i in range(rules - 1):
        yield (f"table=2,priority={60_000 - i},tcp,tp_dst={1 + i},"
               f"nw_dst=172.{16 + i // 256 % 16}.{i % 256}.0/24,actions=drop")
    yield "table=2,priority=20,udp,ct_state=+dnat,actions=resubmit(,3)"  # Again, before the answer.
    yield "table=2,priority=10,udp,nw_dst=10.10.9.9,tp_dst=1000/0xffc0,actions=group:1"
    yield "table=2,priority=10,udp,nw_dst=10.10.9.9,tp_dst=1024/0xffe0,actions=group:1"
    yield "table=2,priority=10,udp,nw_dst=10.10.9.9,tp_dst=1056/0xfff8,actions=group:1"
    yield "table=2,priority=0,actions=drop"


def policy(vm_mac, gateway_mac, rules):
    """Flows of the bridge that the VM is on: port 1 the VM, port 2 the tunnels."""
    yield (f"table=0,priority=10,in_port=1,ip,dl_src={vm_mac},nw_src=10.10.1.11,"
           "actions=ct(table=1,zone=1,nat)")  # No source but its own.
    yield "table=0,priority=10,in_port=2,ip,tun_id=5001,actions=ct(table=1,zone=1,nat)"
    yield "table=0,priority=0,actions=drop"
    yield "table=1,priority=10,ct_state=+trk+est-new-inv,actions=resubmit(,3)"
    yield "table=1,priority=10,ct_state=+trk+new-inv,in_port=1,actions=resubmit(,2)"
    yield "table=1,priority=0,actions=drop"
    yield from firewall(rules)
    for host in BACKENDS:
        yield (f"table=3,priority=10,in_port=1,ip,nw_dst=10.10.2.{host},actions=dec_ttl,"
               f"set_field:{gateway_mac}->eth_src,set_field:02:00:0a:0a:02:{host:02x}->eth_dst,"
               f"set_field:5001->tun_id,set_field:192.0.2.{host}->tun_dst,output:2")
    yield (f"table=3,priority=10,in_port=2,ip,nw_dst=10.10.1.11,actions="
           f"set_field:{gateway_mac}->eth_src,set_field:{vm_mac}->eth_dst,output:1")
    yield "table=3,priority=0,actions=drop"


def balancer():
    buckets = ",".join(f"bucket=weight:100,actions=ct(commit,table=3,zone=1,nat(dst=10.10.2.{host}:5353))"
                       for host in BACKENDS)
    return f"group_id=1,type=select,selection_method=dp_hash,{buckets}"


class Ovs:
    """An Open vSwitch with the connections of the file `there` established; it stands still but
    while it is measured."""

    def __init__(self, folder, there, rules=1_000):
        self.folder = pathlib.Path(folder) / "ovs"
        self.folder.mkdir()
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OVS_RUNDIR": str(self.folder),
                    "OVS_LOGDIR": str(self.folder), "OVS_DBDIR": str(self.folder), "HOME": "/root"}
        self.database = f"unix:{self.folder}/db.sock"
        self.processes = []
        first = read_pcap(there)
        self.flows = len(set(first))
        self.vm_mac, self.gateway_mac = first[0][6:12], first[0][:6]
        try:
            self._start()
            self._configure(rules)
            self._connect(first)
            self._plug_captures(there)
            self._settle()
            self._pause()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in reversed(self.processes):
            stop(process, signal.SIGTERM)

    def _run(self, *command, stdin=None):
        shown = " ".join(map(str, command))[:200]
        try:
            done = subprocess.run([str(c) for c in command], env=self.env, input=stdin, text=True, timeout=120,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{shown}: no end after {error.timeout:.0f} s") from error
        if done.returncode:
            raise BenchError(f"{shown}: {done.stderr.strip()}")
        return done.stdout

    def _vsctl(self, *args):
        return self._run("ovs-vsctl", f"--db={self.database}", "--timeout=60", *args)

    def _appctl(self, *args):
        return self._run("ovs-appctl", "-t", next(self.folder.glob("ovs-vswitchd*.ctl")), *args)

    def _ofctl(self, command, bridge, *args, stdin=None):
        return self._run("ovs-ofctl", "-O", "OpenFlow15", command, f"{self.folder}/{bridge}.mgmt", *args,
                         stdin=stdin)

    def _spawn(self, *command):
        self.processes.append(subprocess.Popen([str(c) for c in command], env=self.env,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def _wait(self, what, is_so, timeout_s=20):
        until = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > until or self.processes[-1].poll() is not None:
                raise BenchError(f"Open vSwitch: {what} did not come\n{self._complaints()}")
            time.sleep(0.2)

    def _complaints(self):
        log = self.folder / "ovs-vswitchd.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        wrong = [line for line in lines if "|WARN|" in line or "|ERR|" in line or "|EMER|" in line]
        return "\n".join([line for line in wrong if "system datapaths" not in line][-20:])

    def _start(self):
        self._run("ovsdb-tool", "create", self.folder / "conf.db", SCHEMA)
        self._spawn("ovsdb-server", self.folder / "conf.db", f"--remote=p{self.database}")
        self._wait("the database", (self.folder / "db.sock").exists)
        self._vsctl("--no-wait", "init")
        # One pool for each port where the capture files leave room for it: fewer buffers are faster.
        settings = {"dpdk-init": "true", "pmd-cpu-mask": hex(1 << CORE), "dpdk-lcore-mask": "0x1",
                    "per-port-memory": "true" if self.flows <= 10_000 else "false",
                    "dpdk-socket-mem": "1024",
                    "dpdk-extra": f"--no-pci --in-memory --file-prefix=ovs{os.getpid()}"}
        for key, value in settings.items():
            self._vsctl("--no-wait", "set", "Open_vSwitch", ".", f'other_config:{key}="{value}"')
        self._spawn("unshare", "--net", VSWITCHD, self.database,
                    f"--log-file={self.folder}/ovs-vswitchd.log")
        self._wait("vswitchd", lambda: list(self.folder.glob("ovs-vswitchd*.ctl")))

    def _configure(self, rules):
        self._vsctl("add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev",
                    "fail-mode=standalone")
        self._vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev",
                    "fail-mode=secure")
        self._vsctl("add-port", "br-int", "vxlan0", "--", "set", "Interface", "vxlan0", "type=vxlan",
                    "options:remote_ip=flow", "options:key=flow", "options:local_ip=192.0.2.11",
                    "ofport_request=2")
        inside = ("nsenter", "--net", "--target", self.processes[-1].pid)
        self._run(*inside, "ip", "address", "add", "192.0.2.11/24", "dev", "br-phy")
        self._run(*inside, "ip", "link", "set", "br-phy", "up")
        self._wait("the route", lambda: "192.0.2.0/24" in self._appctl("ovs/route/show"))
        for i, host in enumerate(BACKENDS):
            self._appctl("tnl/neigh/set", "br-phy", f"192.0.2.{host}", f"02:00:00:00:01:{i:02x}")
        self._ofctl("add-group", "br-int", balancer())
        flows = policy(mac_text(self.vm_mac), mac_text(self.gateway_mac), rules)
        self._ofctl("add-flows", "br-int", "-", stdin="\n".join(flows) + "\n")

    def _add(self, bridge, port, number, devargs):
        self._vsctl("add-port", bridge, port, "--", "set", "Interface", port, "type=dpdk",
                    f"options:dpdk-devargs={devargs}", f"ofport_request={number}", "mtu_request=1600")

    def _connect(self, first):
        """One packet of each flow, in another order than that of the measurement."""
        self._add("br-phy", "uplink", 1, f"net_pcap0,tx_pcap={self.folder}/sent.pcap")
        random.Random(1).shuffle(first)
        # It loses what comes before its threads know the port: many times one packet before the others.
        write_pcap(self.folder / "first.pcap", first[:1] * 20_000 + first)
        self._add("br-int", "vm1", 1, f"net_pcap1,rx_pcap={self.folder}/first.pcap")
        self._until_quiet()
        self._vsctl("del-port", "br-int", "vm1")
        self._vsctl("del-port", "br-phy", "uplink")
        sent = read_pcap(self.folder / "sent.pcap")
        tunnelled = {frame for frame in sent if frame[12:14] == b"\x08\x00" and frame[36:38] == b"\x12\xb5"}
        if len(tunnelled) != self.flows:
            raise BenchError(f"Open vSwitch sent {len(tunnelled)} of {self.flows} flows into tunnels")
        back = [reply_to(frame, self.vm_mac) for frame in sorted(tunnelled)]
        back += [back[i % self.flows] for i in range(len(first) - self.flows)]
        random.Random(42).shuffle(back)
        write_pcap(self.folder / "back.pcap", back)

    def _until_quiet(self):
        before, now = -1, 0
        while now != before:
            time.sleep(0.5)
            before, now = now, self._received()[0]

    def _plug_captures(self, there):
        self._add("br-int", "vm1", 1, f"net_pcap2,rx_pcap={there},infinite_rx=1")
        self._add("br-phy", "uplink", 1, f"net_pcap3,rx_pcap={self.folder}/back.pcap,infinite_rx=1")

    def _settle(self):
        """Until every reply has been seen and the caches are warm."""
        time.sleep(3)
        if self.connections() != self.flows:
            raise BenchError(f"Open vSwitch has {self.connections()} connections of {self.flows}")
        errors = self._vsctl("--columns=name,error", "--format=csv", "--no-headings", "find", "Interface",
                             "error!=[]").strip()
        if errors:
            raise BenchError(f"Open vSwitch: {errors}")

    def connections(self):
        return int(self._appctl("dpctl/ct-get-nconns"))

    def _opened(self):
        """Packets of the VM that opened a connection, as far as they have been counted."""
        shown = self._ofctl("dump-flows", "br-int", "table=1")
        return sum(int(n) for n in re.findall(r"n_packets=(\d+).*ct_state=\+new", shown))

    def _pause(self):
        self.processes[-1].send_signal(signal.SIGSTOP)

    def _received(self):
        shown = self._appctl("dpif-netdev/pmd-stats-show")
        return sum(int(n) for n in re.findall(r"packets received: (\d+)", shown)), time.monotonic()

    def measure(self, seconds):
        """Mpps received, all of established connections."""
        self.processes[-1].send_signal(signal.SIGCONT)
        try:
            time.sleep(0.5)
            opened = self._opened()
            before, started = self._received()
            time.sleep(seconds)
            after, ended = self._received()
            if self._opened() != opened or self.connections() != self.flows:
                raise BenchError("Open vSwitch: not all connections were established")
        finally:
            self._pause()
        return (after - before) / (ended - started) / 1e6

    def describe(self):
        """Its configuration and what its datapath does, as text."""
        self.processes[-1].send_signal(signal.SIGCONT)
        try:
            flows = self._ofctl("dump-flows", "br-int").splitlines()
            return "\n".join([
                self._vsctl("get", "Open_vSwitch", ".", "ovs_version", "other_config"), self._vsctl("show"),
                self._ofctl("dump-groups", "br-int"),
                *[flow for flow in flows if "actions=drop" not in flow],
                f"and {sum('actions=drop' in flow for flow in flows)} rules that drop",
                self._appctl("dpif-netdev/pmd-stats-show"), f"{self.connections()} connections"])
        finally:
            self._pause()

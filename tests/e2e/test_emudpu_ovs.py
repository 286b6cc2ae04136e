# SPDX-License-Identifier: BSD-3-Clause
"""OVS-DPDK with hw-offload=true puts its flows into the emulated DPU.

covers: O2, O7
"""

import re

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import Lab, LabError, run, wait_for
from testpmd import DRIVER, Wire

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"


class Switch:
    """An Open vSwitch of its own: database, control sockets and logs lie in the lab's folder."""

    def __init__(self, lab, host):
        self.folder = lab.folder / "ovs"
        self.folder.mkdir()
        self.lab, self.host = lab, host
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OVS_RUNDIR": str(self.folder),
                    "OVS_LOGDIR": str(self.folder), "OVS_DBDIR": str(self.folder), "HOME": "/root"}
        self.database = f"unix:{self.folder}/db.sock"
        run("ovsdb-tool", "create", self.folder / "conf.db", SCHEMA)
        host.start("ovsdb-server", self.folder / "conf.db", f"--remote=p{self.database}", env=self.env)
        wait_for("the database", lambda: (self.folder / "db.sock").exists())
        self.vsctl("--no-wait", "init")

    def vsctl(self, *args):
        return run("ovs-vsctl", f"--db={self.database}", "--timeout=30", *args, env=self.env).stdout

    def start(self, **settings):
        for key, value in settings.items():
            self.vsctl("--no-wait", "set", "Open_vSwitch", ".", f'other_config:{key.replace("_", "-")}="{value}"')
        self.process = self.host.start(VSWITCHD, self.database, f"--log-file={self.folder}/ovs-vswitchd.log",
                                       env=self.env)
        try:
            wait_for("vswitchd", lambda: list(self.folder.glob("ovs-vswitchd*.ctl")), timeout=30)
        except LabError as late:
            raise LabError(f"{late}\n{self.log()[-3000:]}") from late

    def log(self):
        lines = (self.folder / "ovs-vswitchd.log").read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if "system datapaths" not in line)

    def appctl(self, *args):
        control = next(self.folder.glob("ovs-vswitchd*.ctl"))
        return run("ovs-appctl", "-t", control, *args, env=self.env, timeout=30).stdout

    def pmd_packets(self):
        """What the poll-mode threads have received so far."""
        shown = self.appctl("dpif-netdev/pmd-stats-show")
        return sum(int(n) for n in re.findall(r"packets received: (\d+)", shown))


@pytest.fixture(name="lab")
def _lab():
    with Lab() as lab:
        yield lab


def packet(number):
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2") / \
        UDP(sport=1000, dport=2000) / Raw(number.to_bytes(4, "big") * 16)


def test_a_flow_of_ovs_moves_into_the_card(lab):
    card, far = lab.host("card"), lab.host("far")
    for host in (card, far):
        host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        host.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    for name in ("net", "vf0", "vf1"):
        lab.cable(card, name, far, f"far-{name}")
        card.ip("link", "set", name, "up")
        far.ip("link", "set", f"far-{name}", "up")
    vm0, vm1 = Wire(far, "far-vf0"), Wire(far, "far-vf1")
    switch = Switch(lab, card)
    wires = "".join(f" --vdev net_af_packet{i},iface={name}" for i, name in enumerate(("net", "vf0", "vf1")))
    switch.start(dpdk_init="true", hw_offload="true", pmd_cpu_mask="0x2", dpdk_lcore_mask="0x1",
                 dpdk_extra=f"--no-pci --no-huge --legacy-mem -m 768 --no-shconf -d {DRIVER}{wires} --vdev net_emudpu0,"
                            "uplink=net_af_packet0,vf=net_af_packet1,vf=net_af_packet2,profile=connectx6dx")
    switch.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
    for vf in ("vf0", "vf1"):
        switch.vsctl("add-port", "br0", vf, "--", "set", "Interface", vf, "type=dpdk",
                     f"options:dpdk-devargs=net_emudpu0,representor={vf}")
    assert "error" not in switch.vsctl("show"), switch.log()[-3000:]

    for port, other in (("vf0", "vf1"), ("vf1", "vf0")):
        run("ovs-ofctl", "add-flow", "br0", f"priority=10,in_port={port},actions=output:{other}", env=switch.env)
    switch.appctl("vlog/set", "netdev_offload_dpdk:file:dbg")
    vm0.send(packet(0))
    assert vm1.receive(5) == bytes(packet(0)), "OVS forwards in software"

    def offloaded():
        vm0.send(packet(1))
        return "offloaded:yes" in switch.appctl("dpctl/dump-flows", "-m", "type=offloaded")

    try:
        wait_for("the flow to be offloaded", offloaded, timeout=10, interval=0.1)
    except LabError as late:
        raise LabError(f"{late}\n{switch.appctl('dpctl/dump-flows', '-m')}\n"
                       f"{switch.log()[-5000:]}") from late
    shown = switch.appctl("dpctl/dump-flows", "-m", "type=offloaded")
    assert "dp:dpdk" in shown and "in_port(vf0)" in shown, shown
    vm1.drain()
    before = switch.pmd_packets()
    for number in range(100):
        vm0.send(packet(number))
    got = [vm1.receive() for _ in range(100)]
    assert got == [bytes(packet(number)) for number in range(100)]
    assert switch.pmd_packets() == before, "the poll-mode thread sees none of them"

# SPDX-License-Identifier: BSD-3-Clause
"""The network of the end-to-end tests: that of the demonstration, dual stack, and more.

    vm1  vm2  web1  blue1        far (198.51.100.20, behind a link of 1,400 bytes)
      |   |    |     |            |
    [ host1: gannetd ]          internet (198.51.100.10)
            |                     | 192.0.2.1
            +------ segment ------+------ 192.0.2.12 [ host2: the kernel's VXLAN ] -- vm3

blue1 is of another VPC, in which it has vm2's address.
"""

import contextlib
import pathlib
import re

import yaml

from lab import Gannet, end, wait_for
from topology import GATEWAY_MAC, VMS, demo_lab

POLICY = pathlib.Path(__file__).with_name("city.yaml")
VM1, VM2, WEB1, VM3 = "10.10.1.11", "10.10.2.12", "10.10.2.13", "10.10.2.20"
VM1_6, VM2_6, VM3_6 = "fd00:10:0:1::11", "fd00:10:0:2::12", "fd00:10:0:2::20"
VM1_PUBLIC, NAT_IP, VIP, PUBLIC_VIP = "203.0.113.11", "203.0.113.20", "10.10.9.9", "203.0.113.30"
INTERNET, FAR = "198.51.100.10", "198.51.100.20"
FAR_MTU = 1400
TUNNEL_MTU = 1550  # Of the underlay 1,600, without 50 bytes of VXLAN over IPv4.
VMS_6 = {"vm1": (VM1_6, "fd00:10:0:1::1"), "vm2": (VM2_6, "fd00:10:0:2::1"),
         "web1": ("fd00:10:0:2::13", "fd00:10:0:2::1")}
PORTS = ("vm1", "vm2", "web1", "blue1")


class City:
    """The hosts by name, and the gannetd among them."""

    def __init__(self, lab, cores):
        self.lab = lab
        self.cores = cores
        self.gannet = None
        self.hosts = lab.hosts

    def __getattr__(self, name):
        """city.vm1 is the host of that name."""
        try:
            return self.hosts[name]
        except KeyError as missing:
            raise AttributeError(name) from missing

    def config(self, **changes):
        """The host configuration; sections given replace it."""
        return {"workers": {"cores": self.cores, "idle": "adaptive"},
                "memory": {"size": "256MiB", "hugepages": "none"},
                "capacity": {"connections": 100000},
                "underlay": {"port": "uplink", "ips": ["192.0.2.11/24"], "gateway": "192.0.2.1",
                             "mtu": 1600},
                "ports": {"uplink": {"type": "af_packet", "interface": "up0"},
                          **{name: {"type": "tap", "interface": name} for name in PORTS}},
                **changes}

    def policy(self, change=None):
        """The city's policy, changed by a function, as a file."""
        content = yaml.safe_load(POLICY.read_text())
        if change:
            change(content)
        return self.lab.write("changed.yaml", content)

    def restore(self):
        """Puts the city's own policy in force again if another one is."""
        if self.gannet.ctl("diff", POLICY, check=False).returncode != 0:
            self.gannet.apply(POLICY)

    def drops_since(self, before):
        """Reasons that have been counted since `before` = gannet.drops()."""
        now = self.gannet.drops()
        return {reason: count - before.get(reason, 0) for reason, count in now.items()
                if count > before.get(reason, 0)}

    def last_denial(self):
        """The newest packet that a security group dropped, as an event."""
        return [row for row in self.gannet.json("events") if row["reason"].startswith("sg_")][-1]

    def flows(self, *filters):
        return self.gannet.json("flows", *filters)


def plug_in_vms(city):
    """Gives every VM its port."""
    for name in PORTS[:3]:
        address, mac, gateway = VMS[name]
        address6, gateway6 = VMS_6[name]
        host = city.hosts[name]
        # Router advertisements are none of a VM's business here, nor are addresses of its own making.
        host.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra=0")
        city.gannet.give_port(name, host, address, f"{address6}/64", mac=mac, gateway=gateway)
        host.ip("-6", "route", "replace", "default", "via", gateway6)
    city.gannet.give_port("blue1", city.blue1, f"{VM2}/24", mac=VMS["vm2"][1])


def build_city(lab, cores):
    """All of it, running, with the policy in force."""
    demo_lab(lab)
    lab.host("blue1")
    far = lab.host("far")
    city = City(lab, cores)
    city.internet.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    lab.cable(city.internet, "far0", far, "eth0", mtu=FAR_MTU)
    city.internet.address("far0", "198.51.100.17/29")
    far.address("eth0", f"{FAR}/29")
    far.route("default", via="198.51.100.17")
    city.vm3.address("vx0", f"{VM3_6}/64")
    city.vm3.ip("neigh", "replace", "fd00:10:0:2::1", "lladdr", GATEWAY_MAC, "dev", "vx0")
    city.vm3.ip("neigh", "replace", VM2_6, "lladdr", VMS["vm2"][1], "dev", "vx0")
    city.vm3.ip("-6", "route", "replace", "default", "via", "fd00:10:0:2::1")
    city.gannet = Gannet(lab, city.host1, city.config(), POLICY)
    plug_in_vms(city)
    city.web1.serve_http("web1 {client}\n")
    city.vm1.serve_http("vm1 {client}\n")
    city.vm1.serve_http("vm1 {client}\n", port=8081)
    far.serve_http("far {client}\n")
    return city


@contextlib.contextmanager
def iperf_server(host, port=5201, address=None):
    """An iperf3 server for one test run. With several addresses it has to be told its own: it would
    answer UDP from whichever is nearest."""
    process = host.start("iperf3", "-s", "-1", "-p", port, *(["-B", address] if address else []))
    wait_for("iperf3", lambda: host.listens(port))
    yield process
    end(process)


def iperf(client, server, address, *args, port=5201):
    """One run of iperf3: 20 MB by TCP, or a second of UDP (-u) or of many streams (-P). Returns its summary: receiver's Mbit/s,
    and for UDP lost packets in percent."""
    # Many streams end one by one, each with data on the way that is refused: by time, not by volume.
    length = ("-t", 1) if {"-u", "-P"} & set(args) else ("-n", "20M")
    own = None if address == VM1_PUBLIC else address
    with iperf_server(server, port, own):
        text = client.run("iperf3", "-c", address, "-p", port, *length, "-f", "m", *args,
                          timeout=30).stdout
    line = [line for line in text.splitlines() if line.endswith("receiver")][-1]
    lost = re.search(r"\(([\d.e+-]+)%\)", line)
    return {"mbits": float(re.search(r"([\d.]+) Mbits/sec", line).group(1)),
            "lost_percent": float(lost.group(1)) if lost else None}

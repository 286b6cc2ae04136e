# SPDX-License-Identifier: BSD-3-Clause
"""The network of the demonstration, which many end-to-end tests use too.

    vm1  vm2  web1                       internet (198.51.100.10)
      |   |    |                            | 192.0.2.1
    [ host1: gannetd ] 192.0.2.11 ------ segment ------ 192.0.2.12 [ host2: the kernel's VXLAN ]
                                                                        |
                                                                       vm3 (10.10.2.20, .21)
"""

import yaml

GATEWAY_MAC = "02:67:6e:74:00:01"
VIP = "10.10.9.9"
VMS = {
    "vm1": ("10.10.1.11/24", "02:00:0a:0a:01:0b", "10.10.1.1"),
    "vm2": ("10.10.2.12/24", "02:00:0a:0a:02:0c", "10.10.2.1"),
    "web1": ("10.10.2.13/24", "02:00:0a:0a:02:0d", "10.10.2.1"),
}
REMOTE_MAC = "02:00:0a:0a:02:14"
UNDERLAY_MTU = 1600


class DemoNet:
    """The hosts, and the gannetd once somebody has started it."""

    def __init__(self, lab):
        self.lab = lab
        self.gannet = None
        self.host1, self.host2 = lab.host("host1"), lab.host("host2")
        self.internet, self.vm3 = lab.host("internet"), lab.host("vm3")
        self.vm1, self.vm2, self.web1 = lab.host("vm1"), lab.host("vm2"), lab.host("web1")

    @staticmethod
    def host_config(path, **changes):
        """The host configuration at a path, with some sections replaced."""
        config = yaml.safe_load(path.read_text())
        config.update(changes)
        return config

    def plug_vms(self):
        """Gives every VM its tap port and starts the web servers."""
        for name, (address, mac, gateway) in VMS.items():
            self.gannet.give_port(name, getattr(self, name), address, mac=mac, gateway=gateway)
        self.web1.serve_http("web1")
        self.vm1.serve_http("vm1")


def kernel_vxlan(net):
    """A VM behind host2's kernel: the tunnel's inner end lies in the VM's namespace."""
    net.host2.ip("link", "add", "vx0", "type", "vxlan", "id", "5001", "local", "192.0.2.12",
                 "remote", "192.0.2.11", "dstport", "4789", "nolearning")
    net.host2.ip("link", "set", "vx0", "netns", net.vm3.netns)
    net.vm3.run("ethtool", "-K", "vx0", "tx", "off", "tso", "off", "gso", "off", check=False)
    net.vm3.address("vx0", "10.10.2.20/24", "10.10.2.21/24", mac=REMOTE_MAC, mtu=1500)
    # Nothing is flooded through the tunnel: who is where has to be given.
    net.vm3.ip("neigh", "replace", "10.10.2.1", "lladdr", GATEWAY_MAC, "dev", "vx0")
    for name in ("vm2", "web1"):
        address, mac, _ = VMS[name]
        net.vm3.ip("neigh", "replace", address.split("/")[0], "lladdr", mac, "dev", "vx0")
    net.vm3.route("default", via="10.10.2.1")


def demo_lab(lab):
    """All of it but gannetd and what hangs on its ports."""
    net = DemoNet(lab)
    lab.segment("segment", (net.host1, "up0"), (net.host2, "eth0"), (net.internet, "eth0"),
                mtu=UNDERLAY_MTU)
    net.host2.address("eth0", "192.0.2.12/24")
    net.internet.address("eth0", "192.0.2.1/24")
    net.internet.address("lo", "198.51.100.10/32")
    net.internet.route("203.0.113.0/24", dev="eth0")  # Gannet answers ARP for its public addresses.
    kernel_vxlan(net)
    net.internet.serve_http("{client}")
    net.vm3.serve_http("web2", address="10.10.2.20")
    net.vm3.serve_http("web3", address="10.10.2.21")
    return net

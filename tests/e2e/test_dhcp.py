# SPDX-License-Identifier: BSD-3-Clause
"""DHCP by real clients: on a tap, and by a whole machine's firmware over vhost-user."""

import re

import pytest
from city import VM2, WEB1
from lab import Gannet, end, wait_for

POLICY = """apiVersion: gannet/v1
kind: Policy
metadata: {name: boot}
vpcs:
  net: {vni: 7, cidrs: [10.10.0.0/16], subnets: {a: {cidr: 10.10.2.0/24}}}
security_groups:
  open:
    default: {ingress: allow, egress: allow}
enis:
  guest: {vpc: net, subnet: a, ips: [10.10.2.77], mac: "02:00:0a:0a:02:4d", port: guest,
          security_groups: [open]}
  vm: {vpc: net, subnet: a, ips: [10.10.2.78], mac: "02:00:0a:0a:02:4e", port: vm,
       security_groups: [open]}
"""


def test_client_on_a_tap(city):
    """A lease with address, mask, router, MTU and time; the VM works with it."""
    script = city.lab.write("lease.sh", '#!/bin/sh\n[ "$1" = bound ] && env > "$LEASE"\nexit 0\n')
    script.chmod(0o755)
    lease = city.lab.folder / "lease"
    before = city.gannet.path()["answers"]
    done = city.web1.run("env", f"LEASE={lease}", "udhcpc", "-i", "web1", "-n", "-q", "-f", "-t", 3,
                         "-T", 1, "-O", "mtu", "-s", script, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    got = dict(line.split("=", 1) for line in lease.read_text().splitlines() if "=" in line)
    assert got["ip"] == WEB1 and got["subnet"] == "255.255.255.0" and got["router"] == "10.10.2.1"
    assert got["mtu"] == "1500" and int(got["lease"]) >= 3600
    assert city.gannet.path()["answers"] - before >= 2  # Offer and acknowledgment.


def test_tenant_cannot_be_a_dhcp_server(city):
    """A DHCP offer of a VM is dropped by name."""
    before = city.gannet.drops().get("dhcp_server", 0)
    send = "import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); " \
           "s.bind(('',67)); s.sendto(b'\\x02'+bytes(299),(sys.argv[1],68))"
    city.vm1.run("/usr/bin/python3", "-c", send, VM2)
    wait_for("the drop", lambda: city.gannet.drops().get("dhcp_server", 0) == before + 1)


def boot(host, socket, console):
    """A PC without a disk, whose firmware asks the network what to boot."""
    return host.start(
        "qemu-system-x86_64", "-machine", "pc,accel=tcg,graphics=off,memory-backend=ram", "-m", 64,
        "-object", "memory-backend-memfd,id=ram,size=64M,share=on", "-nodefaults", "-display", "none",
        "-serial", f"file:{console}", "-boot", "n,reboot-timeout=1000",
        "-chardev", f"socket,id=c0,path={socket},server=on,wait=off",
        "-netdev", "vhost-user,id=n0,chardev=c0",
        "-device", "virtio-net-pci,netdev=n0,mac=02:00:0a:0a:02:4d")


@pytest.mark.alongside
def test_firmware_boots_over_vhost_user(lab):
    """SeaBIOS and iPXE on virtio-net: the lease comes, and the machine answers ping meanwhile."""
    host, vm = lab.host("lone"), lab.host("vm")
    host.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    for name in ("up0", "up1"):
        host.ip("link", "set", name, "up")
    socket, console = lab.folder / "guest.sock", lab.folder / "console"
    machine = boot(host, socket, console)
    wait_for("QEMU", socket.exists)
    gannet = Gannet(lab, host, {
        "workers": {"cores": [0]}, "memory": {"size": "64MiB", "hugepages": "none"},
        "capacity": {"connections": 1000},
        "underlay": {"port": "uplink", "ips": ["192.0.2.11/24"], "mtu": 1500},
        "ports": {"uplink": {"type": "af_packet", "interface": "up0"},
                  "vm": {"type": "tap", "interface": "vm"},
                  "guest": {"type": "vhost-user", "socket": str(socket), "mode": "client"}}},
                    lab.write("boot.yaml", POLICY))
    gannet.give_port("vm", vm, "10.10.2.78/24", mac="02:00:0a:0a:02:4e", gateway="10.10.2.1")

    def has_lease():
        return re.search(r"net0: 10\.10\.2\.77/255\.255\.255\.0", console.read_text(errors="replace"))

    wait_for("the guest's lease", has_lease, timeout=40)
    assert gannet.path()["answers"] >= 2
    wait_for("the guest to answer ping", lambda: vm.ping("10.10.2.77", 1) == 1, timeout=10)
    # The hypervisor may restart at any time: the port finds it again.
    end(machine)
    socket.unlink(missing_ok=True)
    console.write_text("")
    machine = boot(host, socket, console)
    wait_for("the lease after a restart", has_lease, timeout=40)
    end(machine)
    wait_for("the counters to add up", lambda: not gannet.unbalanced())
    assert gannet.stop() == 0

# SPDX-License-Identifier: BSD-3-Clause
"""The way out and in: NAT gateway, public addresses, hairpin, load balancer."""

import collections
import pathlib
import re

from city import (FAR, FAR_MTU, INTERNET, NAT_IP, PUBLIC_VIP, VIP, VM1, VM1_PUBLIC, VM2, VM3, WEB1,
                  iperf)
from lab import end, wait_for
from test_inside import hop, path_mtu

SERVER = pathlib.Path(__file__).with_name("udp_server.py")


def answers(host, url, requests):
    """How often each backend answered; every request is a new connection."""
    text = host.run("curl", "-s", "-S", "--max-time", 20, f"{url}/[1-{requests}]", timeout=40).stdout
    counted = collections.Counter(re.findall(r"web\d|vm\d", text))
    assert sum(counted.values()) == requests
    return counted


def test_out_by_nat_gateway(city):
    """covers: N1 N22. TCP, UDP and ping with the gateway's address."""
    assert city.vm2.curl(f"http://{INTERNET}:8080").stdout == NAT_IP
    assert city.vm2.ping(INTERNET, 5) == 5
    assert iperf(city.vm2, city.internet, INTERNET)["mbits"] > 20
    assert iperf(city.vm2, city.internet, INTERNET, "-R")["mbits"] > 20
    assert iperf(city.vm2, city.internet, INTERNET, "-u", "-b", "10M", "-l", 1200)["lost_percent"] < 2
    row = next(row for row in city.gannet.json("show", "nat") if row["eni"] == "vm2")
    assert row["public_ip"] == NAT_IP and row["icmp_open"] >= 1 and row["udp_open"] >= 1


def test_many_connections_by_nat_gateway(city):
    """covers: N3 N40. Connections at once have ports of their own."""
    before = city.gannet.drops()
    assert iperf(city.vm2, city.internet, INTERNET, "-P", 64)["mbits"] > 20
    assert "nat_out_of_ports" not in city.drops_since(before)


def test_nat_gateway_is_closed_to_strangers(city):
    """covers: N48 F1."""
    before = city.gannet.drops()
    assert city.internet.curl(f"http://{NAT_IP}:8080", timeout=0.5, check=False).returncode != 0
    assert city.drops_since(before).get("nat_no_mapping", 0) >= 1


def test_out_and_in_by_public_address(city):
    assert city.vm1.curl(f"http://{INTERNET}:8080").stdout == VM1_PUBLIC
    assert city.internet.curl(f"http://{VM1_PUBLIC}:8080").stdout == "vm1 192.0.2.1\n"
    assert city.internet.ping(VM1_PUBLIC, 5) == 5
    assert city.far.ping(VM1_PUBLIC, 5) == 5


def test_prefix_list_lets_the_office_in_by_port_range(city):
    """covers: F3. An address list and a port range; others are denied by the default."""
    result = iperf(city.internet, city.vm1, VM1_PUBLIC, "-B", INTERNET, port=5999)
    assert result["mbits"] > 20
    before = city.gannet.drops()
    city.far.curl(f"http://{VM1_PUBLIC}:5999", timeout=0.5, check=False)
    assert city.drops_since(before).get("sg_ingress_denied", 0) >= 1
    assert city.last_denial()["rule"] == "public-web/ingress/default"


def test_hairpin_by_nat_gateway(city):
    """covers: N10 N20. A VM that reaches another by its public address comes with its own."""
    assert city.vm2.curl(f"http://{VM1_PUBLIC}:8080").stdout == f"vm1 {NAT_IP}\n"
    assert city.vm2.ping(VM1_PUBLIC, 3) == 3


def test_traceroute_to_the_internet(city):
    """covers: R26 N25. Each hop tells its own address, also through NAT."""
    for host, gateway in ((city.vm1, "10.10.1.1"), (city.vm2, "10.10.2.1")):
        assert hop(host, FAR, 1) == (gateway, False)
        assert hop(host, FAR, 2) == ("192.0.2.1", False)
        assert hop(host, FAR, 3) == (FAR, True)


def test_path_mtu_of_the_internet_is_learned(city):
    """covers: N14 N25 F10. A router's ICMP error comes back translated, and TCP goes on."""
    for host in (city.vm1, city.vm2):
        assert path_mtu(host, FAR, FAR_MTU - 27, "-4") == FAR_MTU
        assert iperf(host, city.far, FAR)["mbits"] > 20
        host.ip("route", "flush", "cache")


def ask_udp(host, address, size, port=9):
    """Sends one datagram and returns the answer, or the error that came instead."""
    return host.run("/usr/bin/python3", "-c", UDP_CLIENT, address, port, size, check=False).stdout


UDP_CLIENT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b"x" * int(sys.argv[3]))
try:
    print(s.recv(100).decode())
except OSError as error:
    print(error)
"""


def test_fragments_by_nat_gateway(city):
    """covers: N15 F5. A datagram in pieces, a small one, and one without a payload."""
    server = city.internet.start("/usr/bin/python3", SERVER, INTERNET, 7000)
    wait_for("the server", lambda: city.internet.listens(7000, "u"))
    for size in (4000, 100, 0):
        assert ask_udp(city.vm2, INTERNET, size, 7000) == f"{size} from {NAT_IP}\n"
        assert ask_udp(city.vm1, INTERNET, size, 7000) == f"{size} from {VM1_PUBLIC}\n"
    end(server)


def test_closed_port_is_refused_through_nat(city):
    """covers: N21 N34. The peer's RST and port unreachable come back."""
    done = city.vm2.curl(f"http://{INTERNET}:9", timeout=3, check=False)
    assert done.returncode == 7, done.stderr  # Refused at once, not timed out.
    assert "refused" in ask_udp(city.vm2, INTERNET, 1)


def test_route_drop(city):
    before = city.gannet.drops()
    assert city.vm2.ping("198.51.100.66", 1, 0.4) == 0
    assert city.drops_since(before).get("route_drop", 0) == 1


def test_load_balancer_spreads(city):
    """covers: L1. Every request is answered from the virtual address, by each backend its part."""
    counted = answers(city.vm1, f"http://{VIP}", 90)
    assert set(counted) == {"web1", "web2", "web3"} and min(counted.values()) >= 12
    counted = answers(city.vm2, f"http://{VIP}", 90)
    assert set(counted) == {"web1", "web2", "web3"} and min(counted.values()) >= 12


def test_load_balancer_source_affinity(city):
    for host in (city.vm1, city.vm2):
        assert len(answers(host, f"http://{VIP}:81", 30)) == 1


def test_load_balancer_weights(city):
    """covers: L4. Three to one, and nothing for a backend of weight 0."""
    counted = answers(city.vm1, f"http://{VIP}:82", 120)
    assert set(counted) == {"web1", "web2"}
    assert 70 <= counted["web1"] <= 108
    shares = {row["backend"]: row["share_percent"] for row in city.gannet.json("show", "lb")
              if row["listener"] == "tcp/82"}
    assert abs(shares[f"{WEB1}:8080"] - 75) < 2 and shares["10.10.2.21:8080"] == 0


def test_load_balancer_hairpin(city):
    """A backend that reaches itself sees its subnet's gateway."""
    assert city.vm1.curl(f"http://{VIP}:83").stdout == "vm1 10.10.1.1\n"


def test_load_balancer_from_the_internet(city):
    assert city.internet.curl(f"http://{PUBLIC_VIP}").stdout == "web1 192.0.2.1\n"
    before = city.gannet.drops()
    assert city.internet.curl(f"http://{PUBLIC_VIP}:81", timeout=0.5, check=False).returncode != 0
    assert city.drops_since(before).get("lb_no_listener", 0) >= 1


def test_load_balancer_from_behind_the_tunnel(city):
    """A VM of the other host asks by itself: the switch balances what comes by the tunnel, too."""
    city.vm3.ip("neigh", "replace", "10.10.2.1", "lladdr", "02:67:6e:74:00:01", "dev", "vx0")
    counted = answers(city.vm3, f"http://{VIP}:82", 20)
    assert counted["web1"] >= 1


def test_connections_can_be_found(city):
    """The two ends of a translated connection lead to it."""
    with_nat = iperf(city.vm2, city.internet, INTERNET)
    assert with_nat["mbits"] > 20
    flows = city.flows("proto=tcp", f"ip={VM2}", "port=5201", f"ip={INTERNET}")
    assert flows and all(NAT_IP in str(flow) for flow in flows)
    assert not city.flows("proto=tcp", f"ip={VM1}", f"ip={VM3}", "port=9999")

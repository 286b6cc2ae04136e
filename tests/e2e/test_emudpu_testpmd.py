# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd drives the emulated DPU; what its rules do is checked on the wires (O23)."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from lab import Lab, wait_for
from testpmd import Testpmd, Wire

VM, PEER, GATEWAY = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:fe"
# Ethdev numbers: the af_packet wires come first.
UPLINK, VF0, VF1 = 3, 4, 5
FROM_VF0 = f"represented_port ethdev_port_id is {VF0}"
FROM_UPLINK = f"represented_port ethdev_port_id is {UPLINK}"
TO_UPLINK = f"represented_port ethdev_port_id {UPLINK}"
TO_VF0 = f"represented_port ethdev_port_id {VF0}"
TO_VF1 = f"represented_port ethdev_port_id {VF1}"


class Card:
    """testpmd with an uplink and two VFs, each wire's far end a socket."""

    def __init__(self, lab, arguments="profile=unlimited"):
        card, far = lab.host("card"), lab.host("far")
        for host in (card, far):
            host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            host.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        for name in ("net", "vf0", "vf1"):
            lab.cable(card, name, far, f"far-{name}")
            card.ip("link", "set", name, "up")
            far.ip("link", "set", f"far-{name}", "up")
        self.up, self.vf0, self.vf1 = (Wire(far, f"far-{name}") for name in ("net", "vf0", "vf1"))
        self.pmd = Testpmd(lab, card, "net_af_packet0,iface=net", "net_af_packet1,iface=vf0",
                           "net_af_packet2,iface=vf1",
                           "net_emudpu0,uplink=net_af_packet0,vf=net_af_packet1,vf=net_af_packet2,"
                           + arguments)
        self.pmd("set fwd rxonly")
        self.pmd("start")

    def create(self, rule, port=UPLINK):
        return self.pmd.create(rule, port)

    def destroy(self, rule):
        assert f"Flow rule #{rule} destroyed" in self.pmd(f"flow destroy {UPLINK} rule {rule}")


@pytest.fixture(scope="module", name="card")
def _card():
    with Lab() as lab:
        made = Card(lab)
        yield made
        assert made.pmd.quit() == 0


@pytest.fixture(autouse=True)
def _no_rules(request):
    yield
    if "card" in request.fixturenames:
        card = request.getfixturevalue("card")
        for port in (UPLINK, VF0, VF1):
            card.pmd(f"flow flush {port}")
        for wire in (card.up, card.vf0, card.vf1):
            wire.drain()


def udp(sport=1000, dport=2000, size=64, src="10.0.0.1", dst="10.0.0.2", **ip):
    return Ether(src=VM, dst=GATEWAY) / IP(src=src, dst=dst, **ip) / UDP(sport=sport, dport=dport) / \
        Raw(bytes(range(size)))


def with_right_checksums(frame):
    """A frame parsed by scapy after checking that each checksum in it is what scapy computes."""
    packet = Ether(frame)
    again = Ether(frame)
    for layer in (IP, TCP, UDP, ICMP):
        if layer in again and not (layer is UDP and again[UDP].chksum == 0):
            del again[layer].chksum
    assert bytes(again) == frame, "a checksum is wrong"
    return packet


def test_a_miss_goes_to_the_representor_and_to_no_wire(card):
    before = card.pmd.xstat("software_packets", VF0)
    card.vf0.send(udp())
    wait_for("the packet at the representor", lambda: card.pmd.xstat("software_packets", VF0) == before + 1)
    wait_for("its receive counter", lambda: card.pmd.xstat("rx_good_packets", VF0) >= 1)
    assert card.up.is_quiet() and card.vf1.is_quiet()


def test_a_rule_forwards_and_counts_what_it_matches_and_nothing_else(card):
    rule = card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 src is 10.0.0.1 / udp dst is 2000 / end "
                       f"actions count / {TO_UPLINK} / end")
    packet = bytes(udp())
    card.vf0.send(packet)
    assert card.up.receive() == packet
    for other in (udp(dport=2001), udp(src="10.0.0.3")):
        card.vf0.send(other)
    card.vf1.send(packet)
    assert card.up.is_quiet()
    assert card.pmd.count(rule, UPLINK) == (1, len(packet))


def test_vxlan_encapsulation(card):
    card.pmd("set vxlan ip-version ipv4 vni 5001 udp-src 50000 udp-dst 4789 ip-src 192.0.2.11 "
             "ip-dst 192.0.2.12 eth-src 02:00:00:00:00:0a eth-dst 02:00:00:00:00:0b")
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / udp / end actions vxlan_encap / {TO_UPLINK} / end")
    inner = bytes(udp())
    card.vf0.send(inner)
    outer = with_right_checksums(card.up.receive())
    assert (outer.src, outer.dst) == ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
    assert (outer[IP].src, outer[IP].dst, outer[IP].len) == ("192.0.2.11", "192.0.2.12", len(inner) + 36)
    assert (outer[UDP].sport, outer[UDP].dport, outer[UDP].len) == (50000, 4789, len(inner) + 16)
    assert outer[UDP].chksum == 0
    assert outer[VXLAN].vni == 5001 and bytes(outer[VXLAN].payload) == inner


def test_vxlan_decapsulation_of_its_vni_only(card):
    rule = card.create(f"transfer pattern {FROM_UPLINK} / eth / ipv4 / udp dst is 4789 / vxlan vni is 5001 / "
                       f"eth / ipv4 dst is 10.0.0.2 / end actions count / vxlan_decap / {TO_VF0} / end")
    inner = bytes(udp())

    def tunnelled(vni):
        return Ether(src=PEER, dst=VM) / IP(src="192.0.2.12", dst="192.0.2.11") / \
            UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=vni, flags=8) / Raw(inner)

    card.up.send(tunnelled(5001))
    assert card.vf0.receive() == inner
    card.up.send(tunnelled(5002))
    assert card.vf0.is_quiet()
    assert card.pmd.count(rule, UPLINK)[0] == 1


@pytest.mark.parametrize("l4", [UDP(sport=1000, dport=2000), TCP(sport=1000, dport=2000, flags="PA")],
                         ids=["udp", "tcp"])
def test_rewriting_keeps_every_checksum_right(card, l4):
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / {l4.name.lower()} / end actions "
                "set_mac_src mac_addr 02:00:00:00:00:aa / set_mac_dst mac_addr 02:00:00:00:00:bb / "
                "set_ipv4_src ipv4_addr 203.0.113.7 / set_ipv4_dst ipv4_addr 198.51.100.9 / "
                f"set_tp_src port 40000 / set_tp_dst port 443 / dec_ttl / {TO_UPLINK} / end")
    sent = Ether(src=VM, dst=GATEWAY) / IP(src="10.0.0.1", dst="10.0.0.2", ttl=64) / l4 / Raw(b"payload!!")
    card.vf0.send(sent)
    got = with_right_checksums(card.up.receive())
    assert (got.src, got.dst) == ("02:00:00:00:00:aa", "02:00:00:00:00:bb")
    assert (got[IP].src, got[IP].dst, got[IP].ttl) == ("203.0.113.7", "198.51.100.9", 63)
    assert (got[l4.__class__].sport, got[l4.__class__].dport) == (40000, 443)
    assert bytes(got[Raw]) == b"payload!!"


def test_rewriting_ipv6(card):
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv6 / udp / end actions set_ipv6_src ipv6_addr "
                f"2001:db8::99 / set_ttl ttl_value 9 / {TO_UPLINK} / end")
    card.vf0.send(Ether(src=VM, dst=GATEWAY) / IPv6(src="2001:db8::1", dst="2001:db8::2") /
                  UDP(sport=1, dport=2) / Raw(b"abc"))
    got = with_right_checksums(card.up.receive())
    assert (got[IPv6].src, got[IPv6].hlim) == ("2001:db8::99", 9)


def test_a_udp_checksum_of_zero_stays_zero(card):
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / udp / end actions set_ipv4_src ipv4_addr "
                f"203.0.113.7 / {TO_UPLINK} / end")
    packet = udp()
    packet[UDP].chksum = 0
    card.vf0.send(packet)
    got = Ether(card.up.receive())
    assert got[IP].src == "203.0.113.7" and got[UDP].chksum == 0


def test_jump_continues_in_the_group_and_a_miss_there_goes_to_software(card):
    card.create(f"transfer group 0 pattern {FROM_VF0} / eth / end actions jump group 1 / end")
    card.create(f"transfer group 1 pattern {FROM_VF0} / eth / ipv4 / tcp / end actions {TO_VF1} / end")
    tcp = bytes(Ether(src=VM, dst=GATEWAY) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2))
    card.vf0.send(tcp)
    assert card.vf1.receive() == tcp
    before = card.pmd.xstat("software_packets", VF0)
    card.vf0.send(udp())
    wait_for("the miss", lambda: card.pmd.xstat("software_packets", VF0) == before + 1)
    assert card.vf1.is_quiet() and card.up.is_quiet()


def test_priority_decides_and_drop_drops(card):
    card.create(f"transfer priority 2 pattern {FROM_VF0} / eth / ipv4 / end actions {TO_UPLINK} / end")
    drop = card.create(f"transfer priority 1 pattern {FROM_VF0} / eth / ipv4 / udp / end actions count / drop / end")
    card.vf0.send(udp())
    assert card.up.is_quiet()
    assert card.pmd.count(drop, UPLINK)[0] == 1
    card.destroy(drop)
    card.vf0.send(udp())
    assert card.up.receive() == bytes(udp())


def test_tcp_flags_match_under_a_mask(card):
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / tcp flags spec 0x10 flags mask 0x17 / end "
                f"actions {TO_UPLINK} / end")
    for flags, passes in (("A", True), ("PA", True), ("SA", False), ("FA", False), ("R", False)):
        card.vf0.send(Ether(src=VM, dst=GATEWAY) / IP() / TCP(flags=flags))
        assert (card.up.receive(0.3) is not None) == passes, flags


def test_a_range_matches_its_ends_and_nothing_beyond(card):
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / udp dst spec 100 dst last 200 dst mask 0xffff / "
                f"end actions {TO_UPLINK} / end")
    for port, passes in ((99, False), (100, True), (150, True), (200, True), (201, False)):
        card.vf0.send(udp(dport=port))
        assert (card.up.receive(0.3) is not None) == passes, port


def test_vlan_push_and_pop(card):
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / end actions of_push_vlan ethertype 0x8100 / "
                f"of_set_vlan_vid vlan_vid 77 / {TO_UPLINK} / end")
    card.create(f"transfer pattern {FROM_UPLINK} / eth / vlan vid is 77 / ipv4 / end actions of_pop_vlan / "
                f"{TO_VF0} / end")
    card.vf0.send(udp())
    tagged = bytes(Ether(src=VM, dst=GATEWAY) / Dot1Q(vlan=77) / udp()[IP])
    assert card.up.receive() == tagged
    card.up.send(tagged)
    assert card.vf0.receive() == bytes(udp())


def test_an_idle_rule_ages_and_a_hit_one_does_not(card):
    idle = card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / udp src is 1 / end actions age timeout 1 / "
                       f"{TO_UPLINK} / end")
    busy = card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / udp src is 2 / end actions age timeout 1 / "
                       f"{TO_UPLINK} / end")

    def aged():
        card.vf0.send(udp(sport=2))
        listed = card.pmd(f"flow aged {UPLINK}")
        return [int(line.split()[1]) for line in listed.splitlines() if line.startswith("Flow")]

    found = []
    wait_for("the idle rule to age", lambda: found.extend(aged()) or idle in found, timeout=5, interval=0.2)
    assert busy not in found


def test_sample_copies_to_another_port(card):
    card.pmd(f"set sample_actions 0 port_id id {VF1} / end")
    card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / end actions sample ratio 1 index 0 / {TO_UPLINK} / end")
    card.vf0.send(udp())
    assert card.up.receive() == bytes(udp())
    assert card.vf1.receive() == bytes(udp())


def test_an_indirect_counter_outlives_its_rules(card):
    output = card.pmd(f"flow indirect_action {UPLINK} create action_id 9 transfer action count / end")
    assert "Indirect action #9 created" in output
    rule = card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / end actions indirect 9 / {TO_UPLINK} / end")
    card.vf0.send(udp())
    assert card.up.receive() is not None
    assert "destroyed" not in card.pmd(f"flow indirect_action {UPLINK} destroy action_id 9")
    card.destroy(rule)
    assert "hits: 1" in card.pmd(f"flow indirect_action {UPLINK} query 9")
    assert "Indirect action #9 destroyed" in card.pmd(f"flow indirect_action {UPLINK} destroy action_id 9")


def test_templates_and_queues(card):
    pmd = card.pmd
    assert "Number of queues: 64" in pmd(f"flow info {UPLINK}")
    pmd("stop")
    pmd(f"port stop {UPLINK}")
    assert "Configure flows on port" in pmd(f"flow configure {UPLINK} queues_number 1 queues_size 64 counters_number 8")
    pmd(f"port start {UPLINK}")
    pmd("start")
    assert "created" in pmd(f"flow pattern_template {UPLINK} create pattern_template_id 1 transfer template "
                            f"represented_port ethdev_port_id mask 0xffff / eth / ipv4 src mask 255.255.255.255 / end")
    assert "created" in pmd(f"flow actions_template {UPLINK} create transfer actions_template_id 1 template count / "
                            f"represented_port ethdev_port_id {UPLINK} / end mask count / "
                            "represented_port ethdev_port_id 0 / end")
    assert "created" in pmd(f"flow template_table {UPLINK} create table_id 1 group 0 priority 0 transfer "
                            "rules_number 10 pattern_template 1 actions_template 1")
    assert "enqueued" in pmd(f"flow queue {UPLINK} create 0 template_table 1 pattern_template 0 actions_template 0 "
                             f"postpone yes pattern {FROM_VF0} / eth / ipv4 src is 10.0.0.1 / end "
                             f"actions count / {TO_UPLINK} / end")
    card.vf0.send(udp())
    assert card.up.is_quiet(), "a postponed rule is not in force"
    pmd(f"flow push {UPLINK} queue 0")
    assert "1 operations" in pmd(f"flow pull {UPLINK} queue 0")
    card.vf0.send(udp())
    assert card.up.receive() == bytes(udp())
    assert "enqueued" in pmd(f"flow queue {UPLINK} destroy 0 postpone no rule 0")
    assert "1 operations" in pmd(f"flow pull {UPLINK} queue 0")
    card.vf0.send(udp())
    assert card.up.is_quiet()


@pytest.mark.parametrize("rule, message", [
    ("transfer pattern eth / mpls / end actions drop / end", "item not supported"),
    ("transfer pattern eth / ipv4 / ipv4 / end actions drop / end", "not stacked"),
    ("transfer pattern eth / udp / vxlan / ipv4 / end actions drop / end", "Ethernet frames"),
    ("transfer pattern represented_port ethdev_port_id is 0 / end actions drop / end", "not a port of this card"),
    ("transfer pattern eth / end actions queue index 0 / end", "ingress"),
    ("ingress pattern eth / end actions queue index 9 / end", "out of range"),
    ("transfer group 1 pattern eth / end actions jump group 1 / end", "other than the current"),
    ("transfer pattern eth / end actions drop / drop / end", "only one fate"),
    ("transfer pattern eth / end actions nvgre_decap / drop / end", "not supported"),
    ("ingress egress pattern eth / end actions drop / end", "one of ingress"),
], ids=lambda value: value if " " not in value else None)
def test_refusals_say_why(card, rule, message):
    assert message in card.pmd(f"flow validate {UPLINK} {rule}")


def test_representors_are_found_the_standard_way(card):
    assert f"proxy port ID: {UPLINK}" in card.pmd(f"show port {VF1} flow transfer proxy")
    info = card.pmd(f"show port info {VF1}")
    assert "Switch name: net_emudpu0" in info and "Switch Port Id: 2" in info
    assert "net_emudpu0_representor_vf1" in info


def test_a_meter_drops_what_is_beyond_its_burst(card):
    pmd = card.pmd
    size = len(bytes(udp()))
    pmd(f"add port meter profile srtcm_rfc2697 {UPLINK} 1 1 {2 * size} 0 0")
    pmd(f"add port meter policy {UPLINK} 1 g_actions void / end y_actions void / end r_actions drop / end")
    pmd(f"create port meter {UPLINK} 1 1 1 yes 0xffff 0 g 0")
    rule = card.create(f"transfer pattern {FROM_VF0} / eth / ipv4 / end actions meter mtr_id 1 / {TO_UPLINK} / end")
    before = pmd.xstat("drop_by_meter", VF0)
    for _ in range(5):
        card.vf0.send(udp())
    assert card.up.receive() and card.up.receive()
    assert card.up.is_quiet()
    assert pmd.xstat("drop_by_meter", VF0) == before + 3
    assert "rules use the meter" in pmd(f"del port meter {UPLINK} 1")
    card.destroy(rule)
    pmd(f"del port meter {UPLINK} 1")
    assert "no such meter" in pmd(f"del port meter {UPLINK} 1")


def test_telemetry_shows_the_card_and_sets_faults():
    with Lab() as lab:
        pmd = Testpmd(lab, lab.host("bare"), "net_emudpu0,profile=tiny", telemetry=lab.folder / "run")
        ask = pmd.telemetry
        assert ask("/emudpu/list") == ["net_emudpu0"]
        rule = pmd.create("transfer pattern eth / end actions drop / end", 0)
        assert ask("/emudpu/card,net_emudpu0")["rules"] == 1
        assert ask("/emudpu/tables,net_emudpu0") == {"transfer_port0_group0_rules": 1,
                                                     "transfer_port0_group0_shapes": 1}
        ask("/emudpu/fault,net_emudpu0,full=1")
        assert "No space left" in pmd("flow create 0 transfer pattern eth / ipv4 / end actions drop / end")
        ask("/emudpu/fault,net_emudpu0,clear")
        assert ask("/emudpu/reset,net_emudpu0") == {"lost_by_reset": 1}
        assert ask("/emudpu/card,net_emudpu0")["rules"] == 0
        assert f"Flow rule #{rule} destroyed" in pmd(f"flow destroy 0 rule {rule}")
        assert pmd.quit() == 0

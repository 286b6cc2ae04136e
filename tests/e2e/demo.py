# SPDX-License-Identifier: BSD-3-Clause
"""The demonstration: the main job on real traffic, proven line by line.

Two VMs and a web server on this host, a Linux kernel's VXLAN endpoint as the second host, and the
internet, all in network namespaces of their own. Exit status 0 if every line of the report holds.

With `--nic` the ports hang on the emulated card, which takes over what software has decided once;
`--seconds N` is how long the connection lasts on which that is shown. With `--keep` all of it goes on
afterwards, to be looked at, until Ctrl-C.
"""

import argparse
import re
import signal
import sys
import time

from lab import BIN, ROOT, Gannet, Lab, LabError, end, wait_for
from topology import VIP, demo_lab

DEMO = ROOT / "configs" / "demo"


class Report:
    """What was to be shown, what was seen, and whether it holds."""

    def __init__(self):
        self.lines = []

    def prove(self, claim, holds, seen):
        self.lines.append((claim, bool(holds), seen))
        print(f"{'ok  ' if holds else 'FAIL'}  {claim}: {seen}", flush=True)

    def holds(self):
        return all(holds for _, holds, _ in self.lines)

    def print(self):
        width = max(len(claim) for claim, _, _ in self.lines)
        print("\nWHAT WAS PROVEN")
        for claim, holds, seen in self.lines:
            print(f"  {'yes' if holds else 'NO '}  {claim:<{width}}  {seen}")


def iperf_mbits(server, client, address, *args):
    """Throughput of iperf3 over two seconds, Mbit/s."""
    process = server.start("iperf3", "-s", "-1")
    wait_for("iperf3", lambda: server.listens(5201))
    text = client.run("iperf3", "-c", address, "-t", "2", "-f", "m", *args, timeout=30).stdout
    end(process)
    return float(re.findall(r"([\d.]+) Mbits/sec\s+receiver", text)[-1])


def prove_inside(report, net):
    """VM to VM on one host, and to a VM behind the kernel's VXLAN, both ways."""
    report.prove("VM to VM on this host, ping", net.vm1.ping("10.10.2.12", 5) == 5, "5 of 5 answered")
    for claim, server, client, address, args in (
            ("VM to VM on this host, iperf3", net.vm2, net.vm1, "10.10.2.12", ()),
            ("to the VM behind the kernel's VXLAN, iperf3", net.vm3, net.vm1, "10.10.2.20", ()),
            ("and from it, iperf3", net.vm3, net.vm1, "10.10.2.20", ("-R",))):
        rate = iperf_mbits(server, client, address, *args)
        report.prove(claim, rate > 10, f"{rate:.0f} Mbit/s")
    there, back = net.vm1.ping("10.10.2.20", 5), net.vm3.ping("10.10.2.12", 5)
    report.prove("through the kernel's VXLAN, ping both ways", there == 5 and back == 5,
                 f"{there} and {back} of 5 answered")


def prove_denial(report, net):
    net.internet.curl("telnet://203.0.113.11:23", timeout=1, check=False)
    drops = [row for row in net.gannet.json("events") if row["reason"] == "sg_ingress_denied"]
    seen = f"{drops[-1]['reason']} by {drops[-1]['rule']}" if drops else "nothing was dropped"
    report.prove("a security group denies, by name", drops and
                 drops[-1]["rule"] == "public-web/ingress/no-telnet", seen)


def prove_internet(report, net):
    seen = net.vm2.curl("http://198.51.100.10:8080").stdout
    report.prove("out by the NAT gateway", seen == "203.0.113.20", f"the internet saw {seen}")
    seen = net.vm1.curl("http://198.51.100.10:8080").stdout
    report.prove("out by a public address", seen == "203.0.113.11", f"the internet saw {seen}")
    seen = net.internet.curl("http://203.0.113.11:8080").stdout
    report.prove("and back in", seen == "vm1", f"{seen} answered 203.0.113.11")


def prove_load_balancer(report, net, requests=100):
    answers = {}
    for _ in range(requests):
        name = net.vm1.curl(f"http://{VIP}").stdout
        answers[name] = answers.get(name, 0) + 1
    spread = ", ".join(f"{name} {count}" for name, count in sorted(answers.items()))
    holds = set(answers) == {"web1", "web2", "web3"} and sum(answers.values()) == requests
    report.prove(f"{requests} requests to a virtual address", holds and min(answers.values()) > 10,
                 spread)


def from_wire(host, interface):
    """What the kernel has counted on a VM's side of its port: (to Gannet, from Gannet)."""
    folder = f"/sys/class/net/{interface}/statistics"
    text = host.run("cat", f"{folder}/tx_packets", f"{folder}/rx_packets").stdout
    return tuple(map(int, text.split()))


def row_of(net, port):
    return next(row for row in net.gannet.json("show", "port") if row["port"] == port)


def counted(net, port):
    """The same by Gannet's counters, software's and the card's together."""
    row = row_of(net, port)
    return (row["rx_packets"] + row["card_rx_packets"], row["tx_packets"] + row["card_tx_packets"])


def at_rest(net):
    """[(by the wire, by Gannet)] of both VMs, once nothing moves and all counters have been read."""
    before = None
    while True:
        now = [(from_wire(getattr(net, vm), vm), counted(net, vm)) for vm in ("vm1", "vm2")]
        if now == before:
            return now
        before = now
        time.sleep(1.5)


def differences(was, now):
    return [tuple(b - a for a, b in zip(before, after)) for before, after in zip(was, now)]


def prove_card(report, net, seconds):
    """The card carries a connection; workers see its beginning and its end."""
    begin = at_rest(net)
    server = net.vm2.start("iperf3", "-s", "-1")
    wait_for("iperf3", lambda: net.vm2.listens(5201))
    client = net.vm1.start("iperf3", "-c", "10.10.2.12", "-t", str(seconds))
    flow = ("proto=tcp", "port=5201", "ip=10.10.2.12")
    wait_for("both directions on the card", lambda: any(
        f["packets"] > 1000 and f["path"] == f["reply_path"] == "hardware"
        for f in net.gannet.json("flows", *flow)))
    time.sleep(seconds / 4)
    before = [row_of(net, port) for port in ("vm1", "vm2")]
    time.sleep(seconds / 2)
    after = [row_of(net, port) for port in ("vm1", "vm2")]
    seen = sum(b["rx_packets"] - a["rx_packets"] for a, b in zip(before, after))
    carried = sum(b["card_rx_packets"] - a["card_rx_packets"] for a, b in zip(before, after))
    report.prove(f"in the middle of {seconds} s of iperf3 the card carries it",
                 seen <= 3 and carried > 1000, f"{carried} packets by the card, {seen} by workers")
    client.wait(timeout=seconds + 30)
    end(server)
    rest = at_rest(net)
    wires = differences(*([row[0] for row in rows] for rows in (begin, rest)))
    sums = differences(*([row[1] for row in rows] for rows in (begin, rest)))
    report.prove("hardware and software counters are what the wires carried", wires == sums,
                 f"{sums} by Gannet, {wires} by the kernel")
    offload = {row["item"]: row["value"] for row in net.gannet.json("show", "offload")}
    report.prove("the audit finds every rule as it should be",
                 int(offload["wrong"]) == 0 and int(offload["audited"]) > 0
                 and int(offload["orphans"]) == 0 and int(offload["lost_rules"]) == 0,
                 f"{offload['audited']} times right, {offload['wrong']} wrong, "
                 f"{offload['orphans']} orphans, {offload['lost_rules']} lost")


def prove_flow_table(report, net, packets=10_000):
    """First packets go to the slow path, the rest takes the flow table."""
    before, slow_before = net.gannet.path(), net.gannet.slow_forwarded()
    text = net.vm1.run("ping", "-n", "-q", "-f", "-c", packets, "10.10.2.12", timeout=60).stdout
    after = net.gannet.path()
    received = int(re.search(r"(\d+) received", text).group(1))
    fast = after["fast_packets"] - before["fast_packets"]
    slow = net.gannet.slow_forwarded() - slow_before
    report.prove(f"a flow of 10,000 packets takes the {'card' if net.has_card else 'flow table'}",
                 received == packets and slow <= 4 and (fast < 1000) == net.has_card,
                 f"{fast} packets by the flow table, {slow} by the slow path")


def prove_policy_change(report, net, lab):
    """A policy that denies a running connection cuts it; another goes on."""
    server = net.vm2.start("iperf3", "-s", "-1")
    wait_for("iperf3", lambda: net.vm2.listens(5201))
    client = net.vm1.start("iperf3", "-c", "10.10.2.12", "-t", "30", "-b", "1M")
    # So many that it lasts longer than all that follows; it waits for the last answer.
    other = net.vm1.start("ping", "-n", "-q", "-c", "50", "-i", "0.05", "10.10.2.20", stdout=-1,
                          text=True)
    flow = ("proto=tcp", "port=5201", "ip=10.10.2.12")
    wait_for("the connection",
             lambda: any(f["packets"] > 20 for f in net.gannet.json("flows", *flow)))
    rule = "name: from-the-vpc, action: "
    policy = (DEMO / "policy.yaml").read_text()
    changed = lab.write("locked.yaml", policy.replace(rule + "allow", rule + "deny"))
    receipt = net.gannet.apply(changed).stdout.strip().splitlines()[-1]
    left = net.gannet.json("flows", *flow)
    text = other.communicate(timeout=20)[0]
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", text).groups())
    report.prove("a policy change cuts a running connection", not left, receipt)
    report.prove("and lets another go on", sent == received and sent > 10,
                 f"{received} of {sent} pings answered meanwhile")
    end(client)
    end(server)


def keep(net):
    """Leaves all of it running until Ctrl-C, with the policy of the beginning."""
    net.gannet.apply(DEMO / "policy.yaml")
    print("\nKEPT UNTIL CTRL-C")
    print(f"  {BIN / 'gannetctl'} --socket {net.gannet.socket} flows    # or show offload, drops, top")
    print(f"  ip netns exec {net.vm1.netns} ping 10.10.2.12    # to vm2; {VIP} is the load balancer's")
    print(f"  {net.gannet.config}: the host configuration; policy: {DEMO / 'policy.yaml'}", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("ending", flush=True)


def demonstrate(report, options):
    with Lab() as lab:
        net = demo_lab(lab)
        net.has_card = options.nic
        host = net.host_config(DEMO / ("host-nic.yaml" if options.nic else "host.yaml"))
        net.gannet = Gannet(lab, net.host1, host, DEMO / "policy.yaml")
        net.plug_vms()
        prove_inside(report, net)
        prove_denial(report, net)
        prove_internet(report, net)
        prove_load_balancer(report, net)
        prove_flow_table(report, net)
        if options.nic:
            prove_card(report, net, options.seconds)
        prove_policy_change(report, net, lab)
        wait_for("the counters to rest", lambda: not net.gannet.unbalanced())
        report.prove("packets in = packets out + drops, for every port", True, "exactly")
        report.print()
        print("\nPACKETS BY PATH")
        for name, count in net.gannet.path().items():
            print(f"  {name.replace('_', ' '):<14} {count}")
        print("\nDROPS BY REASON")
        print(net.gannet.ctl("drops").stdout)
        if options.keep:
            keep(net)
        status = net.gannet.stop()
        report.prove("the daemon ends cleanly", status == 0, f"exit status {status}")


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    # Also where a shell has started it in the background, and so with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nic", action="store_true", help="with the emulated card under the ports")
    parser.add_argument("--seconds", type=int, default=20, help="of iperf3 on the card")
    parser.add_argument("--keep", action="store_true", help="go on afterwards until Ctrl-C")
    options = parser.parse_args()
    report = Report()
    try:
        demonstrate(report, options)
    except LabError as error:
        print(f"FAIL  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything has been removed", file=sys.stderr)
        return 130
    return 0 if report.holds() else 1


if __name__ == "__main__":
    sys.exit(main())

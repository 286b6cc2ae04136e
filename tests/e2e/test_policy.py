# SPDX-License-Identifier: BSD-3-Clause
"""Security groups, and changes of policy while traffic runs."""

import contextlib
import re
import signal
import threading
import time

from city import POLICY, VIP, VM1, VM2, VM3, WEB1, iperf_server
from lab import BIN, end, wait_for


def test_denied_by_default_and_by_rule(city):
    """covers: F3 S15. The event names the rule and the packet."""
    before = city.gannet.drops()
    city.vm2.curl(f"http://{WEB1}:9090", timeout=0.5, check=False)
    event = city.last_denial()
    assert event["rule"] == "web/ingress/default" and f"{WEB1}:9090" in event["packet"]
    city.vm2.curl(f"http://{VM1}:25", timeout=0.5, check=False)
    event = city.last_denial()
    assert event["reason"] == "sg_egress_denied" and event["rule"] == "inside/egress/no-smtp"
    city.vm3.curl(f"http://{VM1}:23", timeout=0.5, check=False)
    assert city.last_denial()["rule"] == "public-web/ingress/no-telnet"
    drops = city.drops_since(before)
    assert drops["sg_ingress_denied"] >= 2 and drops["sg_egress_denied"] >= 1
    hits = {row["rule"]: row["hits"] for row in city.gannet.json("show", "sg")
            if row["group"] == "inside" and row["direction"] == "egress"}
    assert hits["no-smtp"] >= 1


def test_group_as_source(city):
    """A rule that names a security group matches the addresses of its ENIs."""
    probe = "import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); " \
            "s.sendto(b'x',(sys.argv[1],5353))"
    before = city.gannet.drops().get("sg_ingress_denied", 0)
    city.vm1.run("/usr/bin/python3", "-c", probe, WEB1)
    wait_for("the allowed datagram", lambda: city.flows("proto=udp", f"ip={VM1}", "port=5353"))
    assert city.gannet.drops().get("sg_ingress_denied", 0) == before
    city.vm2.run("/usr/bin/python3", "-c", probe, WEB1)
    wait_for("the denied datagram",
             lambda: city.gannet.drops().get("sg_ingress_denied", 0) == before + 1)


def test_rejected_connections_are_refused_at_once(city):
    """covers: F50. The client's kernel takes the reset for the server's, on this host and behind the tunnel."""
    def reject(policy):
        policy["security_groups"]["web"]["ingress"].insert(
            0, {"name": "closed", "action": "reject", "proto": "tcp", "ports": [9090], "from": "any"})
    city.gannet.apply(city.policy(reject))
    for client in (city.vm2, city.vm3):
        done = client.curl(f"http://{WEB1}:9090", timeout=5, check=False)
        assert done.returncode == 7, done.stderr
        assert city.last_denial()["rule"] == "web/ingress/closed"


def test_log_of_rules_is_bounded_and_says_what_it_lost(city):
    """covers: F51. Each sender has so many entries a second; packets go on whatever is lost."""
    def log(policy):
        for rule in policy["security_groups"]["web"]["ingress"]:
            rule["log"] = True
        policy["security_groups"]["inside"]["egress"][0]["log"] = True
    city.gannet.apply(city.policy(log))
    assert city.vm2.curl(f"http://{WEB1}:8080").stdout.startswith("web1")
    city.vm2.curl(f"http://{WEB1}:25", timeout=0.3, check=False)
    wait_for("both entries", lambda: {("web/ingress/http", "allow"), ("inside/egress/no-smtp", "deny")}
             <= {(row["rule"], row["verdict"]) for row in city.gannet.json("log")})
    entry = [row for row in city.gannet.json("log") if row["rule"] == "web/ingress/http"][-1]
    assert VM2 in entry["packet"] and f"{WEB1}:8080" in entry["packet"]
    calls = lambda: len(city.flows("proto=udp", f"ip={WEB1}", "port=5353"))
    lost = lambda: sum(row["lost_log_entries"] for row in city.gannet.json("show", "worker"))
    logged = lambda: sum(row["rule"] == "web/ingress/dns" for row in city.gannet.json("log"))
    before, lost_before = calls(), lost()
    # A new flow for each datagram. In parts that the tap's queue holds, however late the worker comes;
    # and the sender's kernel keeps few datagrams for a gateway whose MAC it does not know yet.
    assert city.vm1.ping(VM2, 1) == 1
    flood = "import socket,sys\n" \
            "for port in range(int(sys.argv[1]), int(sys.argv[1]) + 300):\n" \
            "    s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n" \
            "    s.bind(('',port))\n" \
            f"    s.sendto(b'x',('{WEB1}',5353))"
    for sent in (0, 300, 600):
        city.vm1.run("/usr/bin/python3", "-c", flood, 20000 + sent)
        wait_for("a flow for each datagram", lambda: calls() == before + sent + 300)
    wait_for("every match to be logged or counted", lambda: logged() + lost() - lost_before == 900)
    assert 150 <= logged() <= 500


def test_flush_ends_what_the_filter_names(city):
    """covers: F41. Twenty of twenty-one."""
    send = "import socket,sys\n" \
           "all=[socket.socket(socket.AF_INET,socket.SOCK_DGRAM) for _ in range(int(sys.argv[2]))]\n" \
           f"for s in all: s.sendto(b'x',('{VM2}',int(sys.argv[1])))"
    city.vm1.run("/usr/bin/python3", "-c", send, 7001, 20)
    city.vm1.run("/usr/bin/python3", "-c", send, 7002, 1)
    wait_for("21 flows", lambda: len(city.flows("proto=udp", f"ip={VM2}", "port=7001")) == 20
             and len(city.flows("proto=udp", "port=7002")) == 1)
    assert city.gannet.ctl("flush", "proto=udp", "port=7001").stdout == "20 flows ended\n"
    assert not city.flows("port=7001") and len(city.flows("port=7002")) == 1
    # To end everything one has to say so.
    assert city.gannet.ctl("flush", "eni=nobody", check=False).returncode == 1
    assert city.gannet.json("flush", "all")["flushed"] >= 1
    assert city.vm1.ping(VM2, 2) == 2


def test_policy_file_that_is_wrong_changes_nothing(city):
    """covers: P1 P3. All mistakes at once, with places; the running policy is untouched."""
    revision = city.gannet.json("history")[-1]["revision"]
    text = POLICY.read_text().replace("security_groups: [inside]", "security_groups: [insid]") \
        .replace("10.10.2.0/24, cidr6", "10.10.2.0/33, cidr6")
    wrong = city.lab.write("wrong.yaml", text)
    done = city.gannet.ctl("apply", wrong, check=False)
    assert done.returncode == 1 and not done.stdout
    assert re.search(r"wrong.yaml:\d+:\d+: error: .*\[unknown-reference\]", done.stderr)
    assert "did you mean 'inside'" in done.stderr and "[invalid-prefix]" in done.stderr
    assert city.gannet.json("history")[-1]["revision"] == revision
    assert city.vm1.ping(VM2, 2) == 2


def deny_inside(policy):
    policy["security_groups"]["inside"]["ingress"][0]["action"] = "deny"


def open_more(policy):
    policy["security_groups"]["web"]["ingress"].append(
        {"name": "ssh", "action": "allow", "proto": "tcp", "ports": [22], "from": "any"})


@contextlib.contextmanager
def pings(host, address):
    """Pings all the time; yields a function that stops and returns how many were answered, and the
    number of the last of these: the same, if none was lost. (One more may be on its way.)"""
    process = host.start("ping", "-n", "-i", "0.01", address, stdout=-1, text=True)

    def stop():
        process.send_signal(signal.SIGINT)
        numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+)", process.communicate()[0])]
        return len(numbers), max(numbers, default=0)

    yield stop
    end(process)


def test_change_cuts_what_is_denied_and_keeps_the_rest(city):
    """covers: F46 F47 R21."""
    with iperf_server(city.vm2), pings(city.vm1, VM3) as stop:
        client = city.vm1.start("iperf3", "-c", VM2, "-t", "30", "-b", "1M")
        flow = ("proto=tcp", "port=5201", f"ip={VM1}", f"ip={VM2}")
        wait_for("the connection", lambda: any(f["packets"] > 20 for f in city.flows(*flow)))
        before = city.gannet.drops()
        receipt = city.gannet.apply(city.policy(deny_inside)).stdout
        assert "every connection conforms" in receipt
        assert not city.flows(*flow)
        wait_for("the cut client's packets", lambda: city.drops_since(before).get("no_connection")
                 or city.drops_since(before).get("policy_changed"))
        end(client)
        answered, last = stop()
    assert answered == last and answered > 10


def test_compatible_change_loses_nothing(city):
    """covers: F47 P5. A change elsewhere, and the same policy twice, under traffic."""
    with pings(city.vm1, VM2) as stop, pings(city.vm2, "198.51.100.10") as stop_nat:
        changed = city.policy(open_more)
        for policy in (changed, changed, POLICY):
            city.gannet.apply(policy)
            time.sleep(0.1)
        for answered, last in (stop(), stop_nat()):
            assert answered == last and answered > 10


def test_apply_twice_is_no_change(city):
    """covers: P5."""
    revision = city.gannet.json("history")[-1]["revision"]
    assert "(0 changes)" in city.gannet.apply(POLICY).stdout
    assert city.gannet.json("history")[-1]["revision"] == revision


def test_plan_and_diff(city):
    """covers: P6. Exit 0 nothing, 2 changes, 1 error; the fields are named."""
    for command in ("plan", "diff"):
        assert city.gannet.ctl(command, POLICY).stdout == "0 changes\n"
        done = city.gannet.ctl(command, city.policy(deny_inside), check=False)
        assert done.returncode == 2
        assert "inside" in done.stdout and "deny" in done.stdout and "1 change\n" in done.stdout
        wrong = city.lab.write("wrong.yaml", "kind: Policy\n")
        done = city.gannet.ctl(command, wrong, check=False)
        assert done.returncode == 1 and "error" in done.stderr and not done.stdout


def test_confirm_and_rollback(city):
    """An unconfirmed policy goes away by itself, a confirmed one stays, any can come back."""
    gannet = city.gannet
    first = gannet.json("history")[-1]["revision"]
    said = gannet.ctl("apply", "--confirm", "700ms", city.policy(deny_inside)).stdout
    assert f"goes back to revision {first}" in said
    assert city.vm1.ping(VM2, 1, 0.4) == 0
    wait_for("the old policy", lambda: city.vm1.ping(VM2, 1) == 1)
    assert gannet.json("history")[-1]["revision"] == first + 2
    gannet.ctl("apply", "--confirm", "1s", city.policy(deny_inside))
    assert f"revision {first + 3} is confirmed" in gannet.ctl("confirm").stdout
    done = gannet.ctl("confirm", check=False)
    assert done.returncode == 1 and "nothing waits" in done.stderr
    time.sleep(1.2)
    assert city.vm1.ping(VM2, 1, 0.4) == 0
    gannet.ctl("rollback", first)
    assert city.vm1.ping(VM2, 1) == 1
    done = gannet.ctl("rollback", 9999, check=False)
    assert done.returncode == 1 and "9999" in done.stderr


def test_what_ends_the_wait_for_a_confirmation(city):
    """The same policy again confirms, another one too, and both say so; a new --confirm goes on, and
    back to the last policy that was confirmed."""
    gannet = city.gannet
    first = gannet.json("history")[-1]["revision"]
    changed = city.policy(deny_inside)
    gannet.ctl("apply", "--confirm", "1h", changed)
    assert f"revision {first}" in gannet.ctl("doctor").stdout
    assert f"it is confirmed by this: it does not go back to revision {first}" in \
        gannet.ctl("apply", changed).stdout
    assert gannet.ctl("confirm", check=False).returncode == 1
    gannet.ctl("apply", "--confirm", "1h", POLICY)
    said = gannet.json("apply", city.policy(open_more))
    assert said["ended_guard"] == {"revision": first + 2, "went_back_to": first + 1}
    gannet.ctl("apply", "--confirm", "1h", POLICY)
    said = gannet.ctl("rollback", first + 1).stdout
    assert f"nothing goes back to revision {first + 3} by itself" in said
    gannet.ctl("apply", POLICY)
    here = gannet.json("history")[-1]["revision"]
    for policy, confirm in ((deny_inside, "1h"), (open_more, "1h"), (open_more, "300ms")):
        said = gannet.json("apply", "--confirm", confirm, city.policy(policy))
        assert said["unconfirmed_goes_back_to"] == here and "ended_guard" not in said
    wait_for("the old policy", lambda: gannet.ctl("diff", POLICY, check=False).returncode == 0)


def test_two_appliers(city):
    """covers: P11. Of two who expect the same revision, one is refused; what is in force is whole."""
    gannet = city.gannet
    revision = gannet.json("history")[-1]["revision"]
    paths = [city.lab.write(f"applier{i}.yaml", POLICY.read_text().replace(
        "comment: quarantined", f"comment: applier {i}")) for i in range(2)]
    results = {}

    def apply(i):
        results[i] = gannet.ctl("apply", "--expect", revision, paths[i], check=False)

    threads = [threading.Thread(target=apply, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done.returncode for done in results.values()) == [0, 1]
    winner = next(i for i, done in results.items() if done.returncode == 0)
    assert "revision" in results[1 - winner].stderr
    assert gannet.json("history")[-1]["revision"] == revision + 1
    comments = [row["comment"] for row in gannet.json("show", "route")]
    assert f"applier {winner}" in comments and f"applier {1 - winner}" not in comments


def test_change_is_atomic(city):
    """covers: P3 O14. Both halves of a change come into force together: never a mix is seen."""
    def swap(policy):
        pools = policy["load_balancers"]["shop"]["backend_pools"]
        pools["self"]["backends"] = [{"eni": "web1", "port": 8080}]
        policy["security_groups"]["public-web"]["ingress"][3]["ports"] = [8080]  # Without 8081.

    changed = city.policy(swap)
    for policy in (changed, POLICY, changed, POLICY):
        city.gannet.apply(policy)
        answer = city.vm1.curl(f"http://{VIP}:83").stdout
        assert answer.startswith("web1" if policy == changed else "vm1")


def test_eni_down_and_up(city):
    """covers: P9."""
    def take_down(policy):
        policy["enis"]["vm2"]["admin"] = "down"

    city.gannet.apply(city.policy(take_down))
    before = city.gannet.drops()
    assert city.vm2.ping(VM1, 1, 0.4) == 0 and city.vm1.ping(VM2, 1, 0.4) == 0
    assert city.drops_since(before).get("eni_down", 0) >= 1
    city.gannet.apply(POLICY)
    assert city.vm2.ping(VM1, 2) == 2


def test_suspended_daemon_forgets_nothing(city):
    """covers: P23. Stopped for a while, it goes on with the same connections and the same policy."""
    with iperf_server(city.vm2):
        client = city.vm1.start("iperf3", "-c", VM2, "-t", "4", "-b", "5M")
        flow = ("proto=tcp", "port=5201", f"ip={VM1}", f"ip={VM2}")
        wait_for("the connection", lambda: any(f["packets"] > 20 for f in city.flows(*flow)))
        ids = {row["id"] for row in city.flows(*flow)}
        city.gannet.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        for words in (("show", "port"), ("apply", POLICY), ("capture", "-w", "/dev/null")):
            done = city.gannet.ctl("--timeout", 0.3, *words, check=False)
            assert done.returncode == 1 and not done.stdout, words
            assert done.stderr.count("\n") == 1 and "within 0.3 s" in done.stderr, done.stderr
        done = city.host1.run(BIN / "gannetctl", "--timeout", 0.2, "doctor", "--config",
                              city.gannet.config, check=False)
        assert done.returncode == 2 and "has not answered" in done.stdout
        assert 1 < time.monotonic() - started < 4
        city.gannet.process.send_signal(signal.SIGCONT)
        assert client.wait(15) == 0
        assert ids <= {row["id"] for row in city.flows(*flow)}


def test_trace_agrees_with_the_packet(city):
    """What is said of a packet beforehand is what becomes of it."""
    trace = city.gannet.ctl("trace", "eni=web1", "direction=ingress", "proto=tcp", f"from={VM2}",
                            "port=9090").stdout
    assert "web/ingress/default" in trace
    city.vm2.curl(f"http://{WEB1}:9090", timeout=0.5, check=False)
    assert city.last_denial()["rule"] == "web/ingress/default"

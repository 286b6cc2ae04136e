# SPDX-License-Identifier: BSD-3-Clause
"""The API and its command line: every command in both outputs, and clients that misbehave."""

import json
import os
import random
import re
import socket
import stat
import subprocess
import threading
import time

import pytest

from city import INTERNET, POLICY, VM1, VM2, iperf_server
from lab import BIN, end, run, wait_for

SHOWN = ("vpc", "eni", "sg", "route", "mapping", "nat", "lb", "port", "worker", "offload", "drops")


@pytest.mark.parametrize("what", SHOWN)
def test_show(city, what):
    """A table for people, the same as JSON for programs."""
    city.vm1.ping(VM2, 1)

    def shown():
        """Both, with nothing new in between: the VMs' kernels send now and then what is dropped."""
        before = city.gannet.json("show", what)
        table = city.gannet.ctl("show", what).stdout.splitlines()
        rows = city.gannet.json("show", what)
        return (table, rows) if len(rows) == len(before) else None
    table, rows = wait_for("the same rows twice", shown)
    assert rows and len(table) == len(rows) + 1
    assert table[0].split()[0] == next(iter(rows[0])).replace("_", " ").upper().split()[0]


def test_every_answer_as_json(city):
    gannet = city.gannet
    city.vm1.ping(VM2, 1)
    flow = gannet.json("flows", "proto=icmp", f"ip={VM1}")[0]
    assert gannet.json("explain", flow["id"])["flow"]["flow"] == flow["flow"]
    for words in (("events",), ("history",), ("drops",), ("plan", POLICY), ("diff", POLICY),
                  ("trace", "eni=vm1", "proto=tcp", "from=8.8.8.8", "port=443"),
                  ("top", "--rounds", "1", "--interval", "0.2"), ("doctor",),
                  ("apply", "--wait", "sw", POLICY), ("schema",), ("validate", POLICY),
                  ("lint", POLICY)):
        assert isinstance(gannet.json(*words), (list, dict)), words
    gannet.ctl("apply", "--confirm", "1m", city.policy(lambda p: p["metadata"].update(name="x")))
    assert gannet.json("confirm")["ok"]
    assert gannet.json("rollback", gannet.json("history")[0]["revision"])["ok"]


def test_unknown_things_are_refused_by_name(city):
    for words, answer in ((("show", "nothing"), "there are vpc, eni"),
                          (("flows", "prot=tcp"), "unknown condition 'prot'"),
                          (("explain", "1:2:3:4"), "is no flow"),
                          (("explain", "0:4:77777"), "there is no flow"),
                          (("trace", "eni=nobody", "proto=tcp", "direction=ingress", "from=8.8.8.8",
                            "port=1"), "nobody"),
                          (("apply", "--expect", "x", POLICY), "no number"),
                          (("apply", "--confirm", "5", POLICY), "no duration"),
                          (("capture", "--port", "nix", "-w", "/dev/null"), "no port 'nix'"),
                          (("trace", "eni=vm1", "proto=icmp", "from=8.8.8.8", "port=1"),
                           "ports can be given for tcp and udp only"),
                          (("trace", "eni=vm1", "proto=tcp", "from=8.8.8"), "8.8.8"),
                          (("capture", "-w", "/dev/null", "tcp", "prot"), "as for tcpdump")):
        done = city.gannet.ctl(*words, check=False)
        assert done.returncode == 1 and not done.stdout, words
        assert answer in done.stderr, (words, done.stderr)
        assert done.stderr.count("\n") == 1 and "trace:" not in done.stderr, done.stderr


def test_offline_commands(lab):
    """validate, lint and test need no daemon."""
    assert run(BIN / "gannetctl", "validate", POLICY).stdout.endswith(": valid\n")
    tests = lab.write("tests.yaml", """apiVersion: gannet/v1
kind: PolicyTest
policy: city
cases:
  - name: everybody reaches the web server
    packet: {eni: web1, direction: ingress, proto: tcp, from: 10.10.1.11, port: 8080}
    expect: {verdict: allow, rule: web/ingress/http}
  - name: nobody reaches its ssh
    packet: {eni: web1, direction: ingress, proto: tcp, from: 10.10.1.11, port: 22}
    expect: {verdict: deny, rule: web/ingress/default}
""")
    done = run(BIN / "gannetctl", "test", POLICY, tests)
    assert "2 passed, 0 failed" in done.stdout
    tests.write_text(tests.read_text().replace("verdict: deny", "verdict: allow"))
    done = run(BIN / "gannetctl", "test", POLICY, tests, check=False)
    assert done.returncode == 1 and "1 passed, 1 failed" in done.stdout
    assert "got deny by web/ingress/default (sg_ingress_denied)" in done.stdout
    rows = json.loads(run(BIN / "gannetctl", "-o", "json", "test", POLICY, tests, check=False).stdout)
    assert [row["result"] for row in rows] == ["pass", "fail"]


def test_output_that_cannot_be_written_is_no_success(city):
    with open("/dev/full", "w", encoding="ascii") as full:
        for words in (("show", "port"), ("flows",), ("validate", POLICY), ("--version",),
                      ("top", "--interval", "0.1")):
            done = subprocess.run([BIN / "gannetctl", "--socket", city.gannet.socket, *words],
                                  stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                                  timeout=10)
            assert done.returncode == 1 and "No space left" in done.stderr, words
    for program in ("gannetctl", "gannetd"):
        assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", run(BIN / program, "--version").stdout)


def test_nat_shows_who_uses_the_gateway(city):
    """An ENI whose one address has a public one of its own holds no ports of a gateway."""
    assert {row["eni"] for row in city.gannet.json("show", "nat")} == {"vm2", "web1"}


def test_capture(city):
    """Packets of one port, both ways, by a filter; readable by tcpdump."""
    path = city.lab.folder / "cap.pcapng"
    capture = city.host1.start(BIN / "gannetctl", "--socket", city.gannet.socket, "capture", "--eni",
                               "vm1", "-c", 6, "-w", path, "icmp", "and", "host", VM2)
    wait_for("the tap", lambda: path.exists() and path.stat().st_size > 0)
    other = city.gannet.ctl("capture", "-w", "/dev/null", check=False)
    assert other.returncode == 1 and "one capture at a time" in other.stderr
    assert city.vm1.ping(VM2, 5) == 5
    assert capture.wait(5) == 0
    text = run("tcpdump", "-nr", path).stdout
    assert text.count("ICMP echo request") == 3 and text.count("ICMP echo reply") == 3
    # And without a limit, until it is interrupted; from the uplink with the tunnel around it.
    capture = city.host1.start(BIN / "gannetctl", "--socket", city.gannet.socket, "capture",
                               "--port", "uplink", "-w", path)
    wait_for("the tap", lambda: path.stat().st_size < 1000)
    assert city.vm1.ping("10.10.2.20", 2) == 2
    wait_for("the packets", lambda: path.stat().st_size > 700)
    assert end(capture) == 0
    assert "VXLAN" in run("tcpdump", "-nr", path).stdout


def test_capture_that_is_not_read_harms_nobody(city):
    """covers: F51 P20. Traffic goes on, and the capture is over when its client goes."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(city.gannet.socket))
    client.sendall(b"GET /v1/capture HTTP/1.1\r\n\r\n")
    before = rss(city.gannet)
    text = city.vm1.run("ping", "-n", "-q", "-f", "-c", 20_000, "-s", 1000, VM2, timeout=60).stdout
    assert "20000 received" in text
    assert city.gannet.json("show", "port")
    assert rss(city.gannet) - before < 32 << 20
    client.close()
    wait_for("the capture's end", lambda: city.gannet.ctl(
        "capture", "--seconds", "0.01", "-w", "/dev/null", check=False).returncode == 0)


def rss(gannet):
    with open(f"/proc/{gannet.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_top(city):
    """The busiest connection and the ENIs at its ends, with their rates."""
    with iperf_server(city.vm2):
        client = city.vm1.start("iperf3", "-c", VM2, "-t", "10", "-b", "20M")
        time.sleep(0.5)
        answer = city.gannet.json("top", "--rounds", "1", "--interval", "1", "--limit", "3")
        end(client)
    flow = answer["flows"][0]
    assert f"{VM2}:5201" in flow["flow"] and 10 < flow["mbits"] < 40
    enis = {row["eni"]: row for row in answer["enis"]}
    assert 10 < enis["vm1"]["sent_mbits"] < 40 and 10 < enis["vm2"]["received_mbits"] < 40
    assert {row["port"] for row in answer["ports"]} >= {"uplink", "vm1"}


def test_doctor(city):
    done = city.host1.run(BIN / "gannetctl", "doctor", "--config", city.gannet.config, check=False)
    assert done.returncode == 0, done.stdout
    assert "up0 is up, MTU 1600" in done.stdout and "running, policy revision" in done.stdout
    done = city.vm1.run(BIN / "gannetctl", "-o", "json", "doctor", "--config", city.gannet.config,
                        check=False)
    assert done.returncode == 2
    missing = [row for row in json.loads(done.stdout) if row["state"] == "missing"]
    assert [row["check"] for row in missing] == ["port uplink"] and "ip link" in missing[0]["fix"]
    assert re.search(r"connection table +warning +\d ENIs may fill it alone",
                     city.gannet.ctl("doctor").stdout)
    elsewhere = [row for row in json.loads(done.stdout) if row["check"] == "network namespace"]
    assert f"/proc/{city.gannet.process.pid}/ns/net" in elsewhere[0]["fix"]


def test_socket_is_its_owners_alone(city):
    """covers: P18."""
    assert stat.S_IMODE(city.gannet.socket.stat().st_mode) == 0o600
    done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
               BIN / "gannetctl", "--socket", city.gannet.socket, "events", check=False)
    assert done.returncode == 1 and "gannetctl: no gannetd answers" in done.stderr


def ask(gannet, request, patience=5):
    """Sends raw bytes and returns the answer's first line."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(gannet.socket))
        client.settimeout(patience)
        try:
            client.sendall(request)
            return client.recv(65536).split(b"\r\n")[0]
        except (ConnectionError, socket.timeout):
            return b""


def fetch(gannet, method, target, body=""):
    """A request's status and what its answer says."""
    done = run("curl", "-s", "-S", "-X", method, "--unix-socket", gannet.socket, "-w", "\n%{http_code}",
               *(["-d", body] if body else []), f"http://gannet{target}")
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


def test_wishes_that_nobody_reads_are_refused(city):
    """Methods, parameters and values that mean nothing, by name, as JSON."""
    for method, target, status, answer in (
            ("PUT", "/v1/show/port", 405, "GET and POST"), ("DELETE", "/", 405, "GET and POST"),
            ("GET", "/v2", 404, "/v2"), ("POST", "/v1/show/port", 404, "POST /v1/show/port"),
            ("POST", "/v1/apply?wait=bogus", 400, "wait is one of sw|hw, not 'bogus'"),
            ("POST", "/v1/plan?format=bogus", 400, "format is one of text|json|sarif|github"),
            ("POST", "/v1/apply?wiat=sw", 400, "there are wait, expect"),
            ("POST", "/v1/apply?wait", 400, "key=value"),
            ("POST", "/v1/apply?wait=sw&wait=hw", 400, "each key once"),
            ("GET", "/v1/show/port?limit=1", 400, "takes no parameters"),
            ("POST", "/v1/rollback", 400, "revision=N"),
            ("POST", "/v1/offload?mode=", 409, "no card")):
        got, said = fetch(city.gannet, method, target)
        assert got == status and answer in said["error"], (method, target, got, said)
    got, said = fetch(city.gannet, "POST", "/v1/trace", "[]")
    assert got == 400 and "no packet such as" in said["error"]


def assert_serves(gannet):
    started = time.monotonic()
    assert gannet.json("show", "port")
    assert time.monotonic() - started < 2


def test_slow_and_silent_clients_stall_nobody(city):
    """covers: P20. A hundred that never finish their request, one that never reads its answer."""
    silent = []
    for i in range(100):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(city.gannet.socket))
        client.sendall(b"POST /v1/apply HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc"[:i])
        silent.append(client)
    deaf = socket.socket(socket.AF_UNIX)
    deaf.connect(str(city.gannet.socket))
    deaf.sendall(b"GET /v1/policy HTTP/1.1\r\n\r\n" * 500)
    assert_serves(city.gannet)
    assert city.vm1.ping(VM2, 2) == 2
    for client in (*silent, deaf):
        client.close()
    assert_serves(city.gannet)


def test_oversize_and_deep_bodies_are_refused(city):
    """covers: P1 P20. A request of 1 GB is refused before it is read, nesting is bounded."""
    head = b"POST /v1/apply HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n"
    assert b"413" in ask(city.gannet, head)
    deep = b"[" * 1_000_000
    body = b"POST /v1/plan HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(deep) + deep
    assert b"400" in ask(city.gannet, body, 20)
    keys = b"{" + b",".join(b'"%d":0' % n for n in range(300_000)) + b"}"
    body = b"POST /v1/plan HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(keys) + keys
    assert b"400" in ask(city.gannet, body, 20)
    text = json.dumps({"files": [{"name": "deep", "text": "[" * 100_000}]}).encode()
    body = b"POST /v1/plan HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    assert b"422" in ask(city.gannet, body, 20)
    assert_serves(city.gannet)


def test_large_policy_keeps_nobody_waiting(city):
    """covers: P20. Policies are read beside everything else."""
    rules = [{"name": f"r{n}", "action": "allow", "proto": "tcp", "ports": [n % 60_000 + 1],
              "from": {"cidr": f"10.{n % 250}.{n // 250}.0/24"}} for n in range(8_000)]
    changed = city.policy(lambda p: p["security_groups"]["web"].update(ingress=rules))
    plans = [city.host1.start(BIN / "gannetctl", "--socket", city.gannet.socket, command, changed)
             for command in ("plan", "plan", "apply")]
    waits = []
    while any(plan.poll() is None for plan in plans):
        started = time.monotonic()
        assert fetch(city.gannet, "GET", "/v1/status")[0] == 200
        waits.append(time.monotonic() - started)
    assert len(waits) > 5 and max(waits) < 1, waits
    assert [plan.wait(5) for plan in plans] == [2, 2, 0]


def test_huge_numbers(city):
    """covers: P21. Numbers of any size in a query are either taken or refused."""
    for target, status in (("flows?limit=18446744073709551615", b"200"),
                           ("flows?limit=99999999999999999999", b"400"), ("flows?limit=-1", b"400"),
                           ("top?limit=18446744073709551615", b"200"),
                           ("capture?snap=99999999999", b"400"), ("capture?seconds=nan", b"400"),
                           ("explain?flow=99999:99999:99999999999", b"400"),
                           ("show/%00", b"404"), ("show/" + "a" * 5000, b"404"), ("", b"404")):
        assert status in ask(city.gannet, f"GET /v1/{target} HTTP/1.1\r\n\r\n".encode()), target
    assert_serves(city.gannet)


def test_garbage_is_survived(city):
    """covers: P21. Random bytes, and good requests with random changes."""
    chance = random.Random(7)
    good = b"POST /v1/trace HTTP/1.1\r\nContent-Length: 41\r\n\r\n" \
           b'{"eni":"vm1","proto":"tcp","from":"8.8.8"}'
    for _ in range(150):
        request = bytearray(good)
        for _ in range(chance.randrange(1, 8)):
            request[chance.randrange(len(request))] = chance.randrange(256)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(city.gannet.socket))
            client.sendall(request if chance.random() < 0.7 else chance.randbytes(200))
    for body in ('{"files":1}', '[]', 'null', '{"files":[1]}', '{"files":[{"name":1,"text":2}]}',
                 '{"eni":{"a":[1,2]}}', '"\\ud800"', '{"files":[{"name":"a\\u0000","text":"\\u0000"}]}'):
        for path in ("apply", "plan", "trace"):
            request = f"POST /v1/{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            assert b" 4" in ask(city.gannet, request.encode()), (path, body)
    assert_serves(city.gannet)


def test_many_clients_at_once(city):
    """covers: P22. Readers at ten times a second each, while a flow runs."""
    failures = []

    def read():
        for _ in range(10):
            done = subprocess.run([str(BIN / "gannetctl"), "--socket", str(city.gannet.socket), "-o",
                                   "json", "show", "port"], capture_output=True, check=False)
            if done.returncode:
                failures.append(done.stderr)
            time.sleep(0.05)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert city.vm2.ping(INTERNET, 20) == 20
    for thread in threads:
        thread.join()
    assert not failures

# SPDX-License-Identifier: BSD-3-Clause
"""gannetd's life: how it starts, refuses to start, and ends. A refusal is one sentence with the fix,
exit status 1, and nothing left behind."""

import os
import pathlib
import random
import re
import signal
import socket
import time

import pytest

from city import POLICY
from lab import BIN, Gannet, end, run, wait_for

CONFIG = {"workers": {"cores": [0], "idle": "adaptive"},
          "memory": {"size": "64MiB", "hugepages": "none"},
          "capacity": {"connections": 1000},
          "underlay": {"port": "uplink", "ips": ["192.0.2.11/24"], "mtu": 1500},
          "ports": {"uplink": {"type": "af_packet", "interface": "up0"},
                    "vm1": {"type": "tap", "interface": "vm1"}}}
SMALL_POLICY = """apiVersion: gannet/v1
kind: Policy
metadata: {name: small}
vpcs:
  net: {vni: 7, cidrs: [10.0.0.0/16], subnets: {a: {cidr: 10.0.1.0/24}}}
enis:
  vm1: {vpc: net, subnet: a, ips: [10.0.1.5], mac: "02:00:00:00:00:05", port: vm1}
"""


@pytest.fixture
def host(lab):
    """A host with an interface to be the uplink."""
    made = lab.host("lone")
    made.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    made.ip("link", "set", "up0", "up")
    made.ip("link", "set", "up1", "up")
    return made


def write_config(host, **changes):
    return host.lab.write("lone.yaml", {
        "apiVersion": "gannet/v1", "kind": "HostConfig", **CONFIG,
        "api": {"socket": str(host.lab.folder / "lone.sock")}, **changes})


def try_to_start(host, *args, prefix=(), **changes):
    """Runs gannetd until it gives up; returns the finished process."""
    config = write_config(host, **changes)
    return host.run(*prefix, BIN / "gannetd", "--config", config, *args, check=False, timeout=30)


def left_behind(host):
    """Files of the daemon, and interfaces that it has made."""
    interfaces = re.findall(r"^\d+: ([^:@]+)", host.ip("link", "show").stdout, re.M)
    files = [path.name for path in host.lab.folder.iterdir() if "sock" in path.name]
    return sorted(set(interfaces) - {"lo", "up0", "up1"}) + files


def assert_refused(host, done, *words):
    """One sentence on stderr that has the words, exit status 1, nothing left."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert not done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("gannetd: "), done.stderr
    for word in words:
        assert word in lines[0], lines[0]
    assert left_behind(host) == []


def test_clean_end(host):
    """covers: P17. SIGTERM and SIGINT: exit status 0, no socket, no tap, no file of DPDK's."""
    for number in (signal.SIGTERM, signal.SIGINT):
        gannet = Gannet(host.lab, host, CONFIG, host.lab.write("small.yaml", SMALL_POLICY))
        assert "vm1" in left_behind(host)
        assert gannet.output().count("\n") == 1, gannet.output()
        gannet.process.send_signal(number)
        assert gannet.process.wait(10) == 0
        assert left_behind(host) == []
        assert not list(pathlib.Path("/var/run/dpdk").glob(f"gannet-{gannet.process.pid}"))


def test_first_policy_is_taken_back_too(host):
    """Without a confirmation the switch is as empty as before."""
    gannet = Gannet(host.lab, host, CONFIG)
    small = host.lab.write("small.yaml", SMALL_POLICY)
    assert "goes back to revision 0" in gannet.ctl("apply", "--confirm", "300ms", small).stdout
    assert gannet.json("show", "eni")
    wait_for("the empty policy", lambda: not gannet.json("show", "eni"))
    gannet.ctl("apply", small)
    assert gannet.json("show", "eni")
    assert gannet.stop() == 0


def test_end_while_clients_are_busy(host):
    """covers: P17. A capture and a half-sent request do not keep it."""
    gannet = Gannet(host.lab, host, CONFIG, host.lab.write("small.yaml", SMALL_POLICY))
    capture = host.start(BIN / "gannetctl", "--socket", gannet.socket, "capture", "-w",
                         host.lab.folder / "cap")
    wait_for("the capture", (host.lab.folder / "cap").exists)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(gannet.socket))
        client.sendall(b"POST /v1/apply HTTP/1.1\r\n")
        assert gannet.stop() == 0
    assert capture.wait(5) == 0
    assert left_behind(host) == []


def test_packet_signals_wake_no_thread_that_has_work(host):
    """The kernel sends a real-time signal for each packet on a tap; they are for the EAL's threads."""
    gannet = Gannet(host.lab, host, CONFIG)
    real_time = sum(1 << (number - 1) for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1))
    blocked = {}
    for task in pathlib.Path(f"/proc/{gannet.process.pid}/task").iterdir():
        mask = re.search(r"SigBlk:\s+(\w+)", (task / "status").read_text())[1]
        blocked[(task / "comm").read_text().strip()] = int(mask, 16) & real_time
    assert blocked["gannetd"] == blocked["worker-0"] == real_time
    assert blocked["eal-intr-thread"] == 0
    assert gannet.stop() == 0


def test_port_that_is_not_there(host):
    ports = {**CONFIG["ports"], "uplink": {"type": "af_packet", "interface": "nix0"}}
    assert_refused(host, try_to_start(host, ports=ports), "port uplink", "'nix0'", "ip link")


def test_device_that_cannot_be_opened(host):
    ports = {**CONFIG["ports"], "vm1": {"type": "vdev", "args": "net_nonsense0"}}
    assert_refused(host, try_to_start(host, ports=ports), "port vm1", "net_nonsense0", "check that")


def links(gannet):
    return {row["port"]: row["link"] for row in gannet.json("show", "port")}


def test_links_are_watched(host):
    """An interface that changes or goes away is seen at once, and said everywhere."""
    gannet = Gannet(host.lab, host, {**CONFIG, "metrics": {"listen": "127.0.0.1:9462"}},
                    host.lab.write("small.yaml", SMALL_POLICY))
    vm = host.lab.host("vm")
    gannet.give_port("vm1", vm, "10.0.1.5/24", mac="02:00:00:00:00:05")
    assert links(gannet) == {"uplink": "up", "vm1": "up"}
    for change, undo, seen in ((("up0", "down"), ("up0", "up"), "down"),
                               (("up1", "down"), ("up1", "up"), "no carrier"),
                               (("up0", "mtu", 1400), ("up0", "mtu", 1500), "mtu 1400")):
        host.ip("link", "set", *change)
        assert links(gannet)["uplink"] == seen
        host.ip("link", "set", *undo)
        wait_for("the link", lambda: links(gannet)["uplink"] == "up")
    host.ip("link", "del", "up1")
    vm.ip("link", "del", "vm1")
    assert links(gannet) == {"uplink": "gone", "vm1": "gone"}
    assert gannet.json("show", "eni")[0]["state"] == "port gone"
    metrics = host.run("curl", "-s", "http://127.0.0.1:9462/metrics").stdout
    assert 'gannet_port_up{port="uplink"} 0' in metrics
    assert 'gannet_port_missed_packets_total{port="uplink"} 0' in metrics
    done = gannet.ctl("doctor", check=False)
    assert done.returncode == 2 and re.search(r"link of vm1 +missing +gone", done.stdout), done.stdout
    wait_for("the log", lambda: "port uplink: link is gone" in gannet.output())
    host.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    assert links(gannet)["uplink"] == "replaced"
    assert gannet.stop() == 0


def test_interface_with_too_small_an_mtu(host):
    underlay = {**CONFIG["underlay"], "mtu": 1600}
    assert_refused(host, try_to_start(host, underlay=underlay), "ip link set up0 mtu 1600")


def test_tap_that_another_daemon_has(host):
    gannet = Gannet(host.lab, host, CONFIG)
    done = try_to_start(host, api={"socket": str(host.lab.folder / "other.file")},
                        underlay={**CONFIG["underlay"], "ips": ["192.0.2.12/24"]})
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "port vm1: there is an interface 'vm1' already" in done.stderr
    assert gannet.json("show", "port") and gannet.stop() == 0
    assert left_behind(host) == []


def test_too_little_memory(host):
    assert_refused(host, try_to_start(host, memory={"size": "900GiB", "hugepages": "none"}),
                   "900 GiB", "memory.size")
    assert_refused(host, try_to_start(host, memory={"size": "900GiB", "hugepages": "required"}),
                   "memory.hugepages", "vm.nr_hugepages")
    assert_refused(host, try_to_start(host, capacity={"connections": 260_000_000}),
                   "capacity.connections")


def test_core_that_is_not_there(host):
    assert_refused(host, try_to_start(host, workers={"cores": [900]}), "core 900", "workers.cores")


def test_without_capabilities(host):
    """A user without rights is told what is missing."""
    os.chmod(host.lab.folder, 0o777)
    done = try_to_start(host, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    assert_refused(host, done, "CAP_NET_ADMIN", "root")
    os.chmod(host.lab.folder, 0o755)
    done = try_to_start(host, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    assert_refused(host, done, "lone.sock", "api.socket")


def test_second_daemon_on_the_same_socket(host):
    gannet = Gannet(host.lab, host, CONFIG)
    done = host.run(BIN / "gannetd", "--config", gannet.config, check=False)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count("\n") == 1 and "another gannetd is running" in done.stderr
    assert gannet.json("show", "port") and gannet.stop() == 0


def test_metrics_port_in_use(host):
    server = host.start("/usr/bin/python3", "-m", "http.server", "9462", "--bind", "127.0.0.1")
    wait_for("the other server", lambda: host.listens(9462))
    assert_refused(host, try_to_start(host, metrics={"listen": "127.0.0.1:9462"}), "127.0.0.1:9462",
                   "metrics.listen")
    end(server)


def test_stale_socket_is_replaced_and_other_files_are_not(host):
    """covers: P12. What a killed daemon has left does not stop the next one."""
    gannet = Gannet(host.lab, host, CONFIG)
    gannet.process.kill()
    gannet.process.wait()
    assert gannet.socket.exists()
    files = pathlib.Path(f"/var/run/dpdk/gannet-{gannet.process.pid}")
    assert files.exists()
    assert Gannet(host.lab, host, CONFIG).stop() == 0
    assert not files.exists()
    precious = host.lab.folder / "lone.sock"
    precious.write_text("dear to somebody")
    done = try_to_start(host)
    assert done.returncode == 1 and "is no socket" in done.stderr
    assert precious.read_text() == "dear to somebody"
    precious.unlink()
    assert left_behind(host) == []


def test_unreadable_config(host):
    done = host.run(BIN / "gannetd", "--config", "/nowhere/host.yaml", check=False)
    assert done.returncode == 1 and "[cannot-read]" in done.stderr and not done.stdout


def test_config_with_errors(host):
    """All of them at once, with places, on stderr."""
    text = write_config(host).read_text().replace("af_packet", "af_paket") \
        .replace("adaptive", "lazy")
    config = host.lab.write("bad.yaml", text)
    for args in ((), ("--check",)):
        done = host.run(BIN / "gannetd", "--config", config, *args, check=False)
        assert done.returncode == 1 and not done.stdout
        assert len(re.findall(r"bad.yaml:\d+:\d+: error: ", done.stderr)) == 2, done.stderr
        assert "'af_packet'" in done.stderr and "2 errors" in done.stderr
    assert left_behind(host) == []


def test_policy_with_errors(host):
    policy = host.lab.write("bad.yaml", SMALL_POLICY.replace("subnet: a", "subnet: b"))
    for args in ((), ("--check",)):
        done = try_to_start(host, "--policy", policy, *args)
        assert done.returncode == 1 and not done.stdout and "[unknown-reference]" in done.stderr
    assert left_behind(host) == []


def test_check_opens_nothing(host):
    ports = {**CONFIG["ports"], "uplink": {"type": "af_packet", "interface": "nix0"}}
    done = try_to_start(host, "--check", "--policy", POLICY.with_name("small.yaml"), ports=ports)
    assert done.returncode == 1 and "[cannot-read]" in done.stderr
    done = try_to_start(host, "--check", ports=ports)
    assert done.returncode == 0 and done.stdout.endswith(": valid\n") and not done.stderr
    assert left_behind(host) == []


def test_usage_errors(host):
    for program, args in (("gannetd", ()), ("gannetd", ("--nonsense",)), ("gannetctl", ()),
                          ("gannetctl", ("nonsense",)), ("gannetctl", ("show",)),
                          ("gannetctl", ("-o", "xml", "events")), ("gannetctl", ("trace", "x")),
                          ("gannetctl", ("rollback", "last"))):
        done = run(BIN / program, *args, check=False)
        assert done.returncode == 64, (program, args, done.stderr)
        assert done.stderr and not done.stdout
    for program in ("gannetd", "gannetctl"):
        done = run(BIN / program, "--help")
        assert "Usage" in done.stdout and not done.stderr


@pytest.mark.parametrize("args", [
    ("show", "port"), ("flows",), ("events",), ("history",), ("top", "--rounds", "1"),
    ("apply", str(POLICY)), ("plan", str(POLICY)), ("confirm",), ("rollback", "1"),
    ("explain", "0:4:1"), ("trace", "eni=vm1", "proto=tcp"), ("capture", "-w", "/dev/null")])
def test_no_daemon(lab, args):
    done = run(BIN / "gannetctl", "--socket", lab.folder / "none.sock", *args, check=False)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count("\n") == 1
    assert "no gannetd answers" in done.stderr and "GANNET_SOCKET" in done.stderr


def test_killed_at_any_moment(host):
    """covers: P12. kill -9 while it starts, applies and forwards; the next one starts and serves."""
    policy = host.lab.write("small.yaml", SMALL_POLICY)
    other = host.lab.write("other.yaml", SMALL_POLICY.replace("10.0.1.5", "10.0.1.6"))
    config = write_config(host)
    chance = random.Random(1)
    for _ in range(6):
        daemon = host.start(BIN / "gannetd", "--config", config, "--policy", policy)
        deadline = time.monotonic() + chance.uniform(0.02, 0.8)
        while time.monotonic() < deadline:
            if chance.random() < 0.5:
                run(BIN / "gannetctl", "--socket", host.lab.folder / "lone.sock", "apply",
                    chance.choice((policy, other)), check=False)
            else:
                time.sleep(0.01)
        daemon.kill()
        daemon.wait()
    gannet = Gannet(host.lab, host, CONFIG, policy)
    assert [row["ips"] for row in gannet.json("show", "eni")] == [["10.0.1.5"]]
    assert gannet.stop() == 0
    assert left_behind(host) == []


def test_huge_pages_if_there_are_any(host):
    free = int(pathlib.Path(
        "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").read_text())
    if free < 40:
        pytest.skip("no huge pages are free here; the other tests run without")
    gannet = Gannet(host.lab, host, {**CONFIG, "memory": {"size": "64MiB", "hugepages": "required"}})
    assert gannet.json("show", "worker")
    assert gannet.stop() == 0
    assert int(pathlib.Path(
        "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").read_text()) == free


def test_tells_systemd(host):
    """sd_notify(3): ready when it forwards, stopping when it ends."""
    path = host.lab.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(20)
        daemon = host.start(BIN / "gannetd", "--config", write_config(host),
                            env={**os.environ, "NOTIFY_SOCKET": str(path)})
        assert listener.recv(100) == b"READY=1"
        daemon.terminate()
        assert listener.recv(100) == b"STOPPING=1"
        assert daemon.wait(10) == 0


def test_metrics(host):
    gannet = Gannet(host.lab, host, {**CONFIG, "metrics": {"listen": "127.0.0.1:9462"}})
    text = host.curl("http://127.0.0.1:9462/metrics").stdout
    assert re.search(r"^# TYPE gannet_\w+_total counter$", text, re.M)
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'gannet_\w+(\{[^}]*\})? [\d.e+-]+', line), line
    assert gannet.stop() == 0

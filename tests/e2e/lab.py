# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces as hosts, veths as cables, and a gannetd among them.

Everything that a lab makes carries its own prefix and goes when the lab is closed, also after Ctrl-C;
what a killed lab has left behind is removed by the next one. Needs root.
"""

import atexit
import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GANNET_BUILD", ROOT / "build"))
BIN = BUILD / "bin"
PREFIX = "gnt"


class LabError(Exception):
    """Something that a lab or a peer was asked to do went wrong; the text says what."""


def run(*command, check=True, timeout=60, **kwargs):
    """Runs a command and returns its finished process, output as text."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                          timeout=timeout, check=False, **kwargs)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))}: exit {done.returncode}\n"
                       f"{done.stdout}{done.stderr}")
    return done


def wait_for(what, condition, timeout=10.0, interval=0.02):
    """Waits until condition() is true and returns its value; LabError names `what` if it never is."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout} s for {what}")
        time.sleep(interval)


@contextlib.contextmanager
def undisturbed():
    """Clears up to the end, whatever a user presses meanwhile, and if the terminal goes."""
    before = {number: signal.signal(number, signal.SIG_IGN)
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_of_a_dead_lab(name):
    found = re.match(rf"{PREFIX}(\d+)-", name)
    return found and not os.path.exists(f"/proc/{found.group(1)}")


def remove_leftovers():
    """Deletes what labs have left whose process is gone: namespaces, processes in them, folders."""
    for line in run("ip", "netns", "list").stdout.splitlines():
        name = line.split()[0]
        if not is_of_a_dead_lab(name):
            continue
        for process in run("ip", "netns", "pids", name, check=False).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        run("ip", "netns", "del", name, check=False)
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if is_of_a_dead_lab(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


class Host:
    """A network namespace with its own kernel stack."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.netns = f"{PREFIX}{os.getpid()}-{lab.number}-{name}"
        run("ip", "netns", "add", self.netns)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args, check=True):
        return run("ip", "-n", self.netns, *args, check=check)

    def run(self, *command, **kwargs):
        return run("ip", "netns", "exec", self.netns, *command, **kwargs)

    def start(self, *command, **kwargs):
        """Starts a process in the namespace; the lab ends it."""
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        kwargs.setdefault("stderr", subprocess.DEVNULL)
        # nsenter replaces itself by the command, so that the process is the command.
        process = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.netns}",
                                    *map(str, command)], **kwargs)
        self.lab.processes.append(process)
        return process

    def address(self, interface, *addresses, mac=None, mtu=None):
        """Sets an interface up with addresses."""
        if mac:
            self.ip("link", "set", interface, "address", mac)
        if mtu:
            self.ip("link", "set", interface, "mtu", mtu)
        for address in addresses:
            self.ip("addr", "add", address, "dev", interface, *nodad(address))
        self.ip("link", "set", interface, "up")

    def route(self, to, **via):
        args = [word for pair in via.items() for word in pair]
        self.ip("route", "replace", to, *args)

    def serve_http(self, text, port=8080, address=None):
        """A web server that answers every request with `text` and closes; returns its process."""
        script = pathlib.Path(__file__).with_name("http_server.py")
        process = self.start("/usr/bin/python3", script, address or "0.0.0.0", port, text)
        wait_for(f"HTTP on {self.name}:{port}", lambda: self.listens(port, address=address))
        return process

    def listens(self, port, protocol="t", address=None):
        where = f"sport = :{port}" + (f" and src {address}" if address else "")
        sockets = self.run("ss", f"-Hln{protocol}", where).stdout
        return bool(sockets.strip())

    def curl(self, url, *args, timeout=3, check=True):
        """The text at a URL."""
        return self.run("curl", "-s", "-S", "--max-time", timeout, *args, url, check=check,
                        timeout=timeout + 10)

    def ping(self, to, count=3, patience=2, **kwargs):
        """Pings and returns how many answers came; waits so many seconds for the last one."""
        done = self.run("ping", "-n", "-c", count, "-i", "0.05", "-W", patience, to, check=False,
                        **kwargs)
        found = re.search(r"(\d+) received", done.stdout)
        return int(found.group(1)) if found else 0


def nodad(address):
    """IPv6 addresses are usable at once without duplicate address detection."""
    return ["nodad"] if ":" in address else []


class Lab:
    """Makes hosts and cables; as a context manager it removes them all."""

    numbers = itertools.count()

    def __init__(self):
        remove_leftovers()
        self.hosts = {}
        self.processes = []
        self.number = next(Lab.numbers)  # A process may have several.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.stack = contextlib.ExitStack()
        atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def host(self, name):
        self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def cable(self, left, left_interface, right, right_interface, mtu=1500):
        """A veth pair between two hosts. Offloads are off: a switch must see whole, finished frames."""
        left.ip("link", "add", left_interface, "type", "veth", "peer", "name", right_interface,
                "netns", right.netns)
        for host, interface in ((left, left_interface), (right, right_interface)):
            host.ip("link", "set", interface, "mtu", mtu)
            host.run("ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro",
                     "off", check=False)
            host.ip("link", "set", interface, "up")

    def segment(self, name, *ends, mtu=1500):
        """An Ethernet segment: a host that bridges the given (host, interface) ends."""
        bridge = self.host(name)
        bridge.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        bridge.ip("link", "set", "br0", "mtu", mtu, "up")
        for number, (host, interface) in enumerate(ends):
            self.cable(host, interface, bridge, f"p{number}", mtu=mtu)
            bridge.ip("link", "set", f"p{number}", "master", "br0")
        return bridge

    def write(self, name, content):
        """A YAML file in the lab's folder, from a text or from data."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    @undisturbed()
    def close(self):
        atexit.unregister(self.close)
        for process in reversed(self.processes):
            end(process)
        self.processes.clear()
        for host in self.hosts.values():
            run("ip", "netns", "del", host.netns, check=False)
        self.hosts.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def end(process, patience=5):
    """Ends a process, gently first; returns its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


class Gannet:
    """A gannetd on a host of the lab, and its command line."""

    def __init__(self, lab, host, config, policy=None):
        self.lab = lab
        self.host = host
        self.socket = lab.folder / f"{host.name}.sock"
        config = {"apiVersion": "gannet/v1", "kind": "HostConfig", **config}
        config["api"] = {"socket": str(self.socket)}
        self.config = lab.write(f"{host.name}.yaml", config)
        self.log = open(lab.folder / f"{host.name}.log", "w+", encoding="utf-8")
        args = ["--config", self.config]
        if policy:
            args += ["--policy", policy]
        self.process = host.start(BIN / "gannetd", *args, stdout=self.log, stderr=self.log)
        wait_for("gannetd to forward", self.is_forwarding, timeout=30)

    def output(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(encoding="utf-8")

    def is_forwarding(self):
        if self.process.poll() is not None:
            raise LabError(f"gannetd ended: {self.output()}")
        return "forwarding" in self.output()

    def ctl(self, *args, check=True, timeout=60):
        return run(BIN / "gannetctl", "--socket", self.socket, *args, check=check, timeout=timeout)

    def json(self, *args):
        return json.loads(self.ctl("-o", "json", *args).stdout)

    def apply(self, *files, **kwargs):
        return self.ctl("apply", "--wait", "sw", *files, **kwargs)

    def drops(self):
        """Dropped packets by reason."""
        totals = {}
        for row in self.json("drops"):
            totals[row["reason"]] = totals.get(row["reason"], 0) + row["packets"]
        return totals

    def path(self):
        """Packets by path, summed over the workers."""
        rows = self.json("show", "worker")
        return {key: sum(row[key] for row in rows)
                for key in ("fast_packets", "slow_packets", "first_packets", "answers")}

    def slow_forwarded(self):
        """Packets that the slow path has let through: of those that it saw neither dropped nor answered.
        (VMs say things at any time that nobody asked for, and that end there.)"""
        path = self.path()
        return path["slow_packets"] - path["answers"] - sum(self.drops().values())

    def give_port(self, port, host, *addresses, mac, gateway=None):
        """Moves a tap port into a VM's namespace and sets it up there as its network card."""
        wait_for(f"tap {port}", lambda: self.host.ip("link", "show", port, check=False).returncode == 0)
        self.host.ip("link", "set", port, "netns", host.netns)
        host.address(port, *addresses, mac=mac)
        if gateway:
            host.route("default", via=gateway)

    def unbalanced(self):
        """Ports for which packets in are not packets out plus drops; none when all is at rest."""
        return [row for row in self.json("show", "port")
                if row["rx_packets"] + row["originated"] != row["forwarded"] + row["dropped"]]

    def stop(self):
        """Ends the daemon and returns its exit status."""
        return end(self.process)

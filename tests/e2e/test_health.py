# SPDX-License-Identifier: BSD-3-Clause
"""Health checks of a load balancer's backends, with real servers that come and go."""

from city import VIP, VM3, WEB1
from lab import end, wait_for
from test_outside import answers

PORT = 8085
SERVERS = {"web1": WEB1, "web2": VM3, "web3": "10.10.2.21"}


def with_checks(policy):
    """The pool serves on a port of this test's own, and is checked."""
    for rule in policy["security_groups"]["web"]["ingress"]:
        if rule["name"] == "http":
            rule["ports"].append(PORT)
    pool = policy["load_balancers"]["shop"]["backend_pools"]["even"]
    for backend in pool["backends"]:
        backend["port"] = PORT
    pool["health_check"] = {"type": "tcp", "interval": "200ms", "timeout": "150ms", "rise": 2, "fall": 2}


def serve(city, name):
    host = city.web1 if name == "web1" else city.vm3
    return host.serve_http(f"{name} {{client}}\n", port=PORT, address=SERVERS[name])


def states(city, port=PORT):
    """State and probes of each backend with a port by `gannetctl show lb`."""
    rows = [row for row in city.gannet.json("show", "lb") if row["pool"] == "even"]
    return {row["backend"].removesuffix(f":{port}"): (row["state"], row["probes"])
            for row in rows if row["backend"].endswith(f":{port}")}


def wait_until(city, name, state):
    wait_for(f"{name} to be {state}", lambda: states(city)[SERVERS[name]][0] == state)


def test_dead_backends_get_no_connections(city):
    """covers: L14. In a VM and behind the tunnel: down, no connection; up again, its share."""
    servers = {name: serve(city, name) for name in SERVERS}
    city.gannet.apply(city.policy(with_checks))
    wait_for("probes of all", lambda: all("answered" in probes for _, probes in states(city).values()))
    assert set(answers(city.vm1, f"http://{VIP}", 60)) == set(SERVERS)
    for name in ("web1", "web2"):
        end(servers[name])
        wait_until(city, name, "down")
        assert "refused" in states(city)[SERVERS[name]][1]
        # Every one of them is answered, by the others.
        assert set(answers(city.vm1, f"http://{VIP}", 60)) == set(SERVERS) - {name}
        servers[name] = serve(city, name)
        wait_until(city, name, "up")
        assert set(answers(city.vm1, f"http://{VIP}", 60)) == set(SERVERS)
    for server in servers.values():
        end(server)


def test_a_backend_that_has_gone_silent_is_down(city):
    """covers: L14. Nothing refuses its connections: its answers do not come any more."""
    server = serve(city, "web1")
    city.gannet.apply(city.policy(with_checks))
    wait_until(city, "web1", "up")
    city.web1.ip("route", "add", "blackhole", "10.10.2.1/32")
    wait_until(city, "web1", "down")
    assert "no answer" in states(city)[WEB1][1]
    # Without its check nobody knows anything bad of it.
    city.restore()
    assert states(city, 8080)[WEB1] == ("up", "")
    city.web1.ip("route", "del", "blackhole", "10.10.2.1/32")
    end(server)

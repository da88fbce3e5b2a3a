"""The gate on a network of its own, with real addresses and the system's resolver: no seam, nothing pretended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from places import ROOT
from waiting import PATIENCE

NAMESPACE = """
set -e
ip link set lo up
ip link add away0 type veth peer name away1
for end in away0 away1; do sysctl -qw net.ipv6.conf.$end.disable_ipv6=1 2>/dev/null || true; done
ip address add 10.91.7.2/24 dev away0
ip link set away0 up
ip link set away1 up
ip neigh add 10.91.7.1 lladdr 02:00:00:00:00:01 dev away0 nud permanent
ip route add default via 10.91.7.1 dev away0
ip address add 203.0.113.7/32 dev lo
mount --bind "$HOSTS" /etc/hosts
mount --bind "$RESOLV" /etc/resolv.conf
exec "$@"
"""
HOSTS = """127.0.0.1 localhost
203.0.113.7 models.example localhost.evil.example printer.local both.example
127.0.0.1 both.example
"""


def namespace(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "hosts").write_text(HOSTS)
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    return subprocess.run(
        ["unshare", "--net", "--mount", *who, "sh", "-c", NAMESPACE, "sh", *command],
        cwd=ROOT,
        env=os.environ | {"RESOLV": str(tmp_path / "resolv.conf"), "HOSTS": str(tmp_path / "hosts")},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )


def test_real_addresses_and_the_real_resolver_get_nothing_before_consent_and_the_payload_after_it(tmp_path):
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("needs Linux with iproute2 and unshare (tests/setup-system.sh)")
    if (trial := namespace(tmp_path, "true")).returncode:
        pytest.skip(f"this machine allows no network namespace: {trial.stderr.strip()[-200:]}")
    done = namespace(tmp_path, sys.executable, str(Path(__file__).with_name("egress_of_the_gate.py")))
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert len(report["forms"]) == 12
    assert "Paris" not in report["forms"].values()
    assert report["arrived_without_consent"] == 0
    near = {host for host, locality in report["localities"].items() if locality != "remote"}
    assert near == {"localhost", "2130706433"}
    assert report["this_machine"] == ["Paris", "Paris"]
    assert report["arrived_here"] == 2
    assert (report["after_consent"], report["exact"], report["arrived"]) == ("Paris", True, 1)
    assert report["addresses"] == ["203.0.113.7"]
    assert report["again"] == "NotAllowedError"
    assert report["strays"] == 0, report

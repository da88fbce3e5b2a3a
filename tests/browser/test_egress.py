"""Nothing leaves the machine: the whole product runs on a network that drops every packet, and none is sent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from places import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

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
printf 'nameserver 10.91.7.53\\n' > "$RESOLV"
mount --bind "$RESOLV" /etc/resolv.conf
exec "$@"
"""


def namespace(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """The command in a network of its own, whose only way out swallows packets and counts them."""
    who = [] if os.geteuid() == 0 else ["--map-root-user"]
    return subprocess.run(
        ["unshare", "--net", "--mount", *who, "sh", "-c", NAMESPACE, "sh", *command],
        cwd=ROOT,
        env=os.environ | {"RESOLV": str(tmp_path / "resolv.conf")},
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )


def test_start_ingest_chat_and_upload_send_no_packet(tmp_path, chromium):
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("needs Linux with iproute2 and unshare (tests/setup-system.sh)")
    if (trial := namespace(tmp_path, "true")).returncode:
        pytest.skip(f"this machine allows no network namespace: {trial.stderr.strip()[-200:]}")
    done = namespace(tmp_path, sys.executable, str(Path(__file__).with_name("egress_scenario.py")))
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["control"] >= 1, "the counter counts"
    assert report["after_start_and_ingest"] == 0, report
    assert report["packets"] == 0, report
    assert report["requests"] > 10
    assert report["foreign_requests"] == []
    print(report)

"""The files in containers/: closed as docs/containers.md says, made of what is there, with settings that exist.

No container engine is needed. What only one can show is named in docs/containers.md.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from ingest import IngestSettings, Library
from ingest.app_settings import OperateSettings, PeopleSettings
from places import ROOT
from rag.settings import RagSettings
from ui.backup.copying import backup

FOLDER = ROOT / "containers"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
GIVEN = {"SCHOLION_ADDRESS": "https://papers.example.org", "POSTGRES_PASSWORD": "secret", "SCHOLION_CERTIFICATES": "/c"}
CERTIFICATE = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=papers.example.org -days 2".split()
NGINX = shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if os.access(path, os.X_OK)), None)


def filled(text):
    """A text of compose.yaml with its variables: those of GIVEN, else their defaults."""
    return re.sub(r"\$\{(\w+)(?::[?-]([^}]*))?\}", lambda m: GIVEN.get(m[1], m[2] or ""), text)


def instructions():
    """(name, arguments) of each instruction of the Dockerfile."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_closed(name):
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "env_file"} & one.keys()
    user = one.get("user") or (image_user() if one["image"] == "scholion" else "root")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert one["image"] == "scholion" or re.search(r":\d+(\.\d+)?-bookworm$", one["image"]), "a version"
    for volume in map(filled, one.get("volumes", [])):
        source, _, rest = volume.partition(":")
        assert source in COMPOSE["volumes"] or rest.endswith(":ro"), volume
        assert "docker.sock" not in volume


def test_only_nginx_is_reached_from_outside_and_only_from_this_machine_until_it_is_changed():
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["net"]
    assert [filled(port) for port in SERVICES["net"]["ports"]] == ["127.0.0.1:8443:8443"]
    assert all(SERVICES[name]["network_mode"] == "service:net" for name in SERVICES if name != "net")
    listens = re.findall(r"listen (\S+)", (FOLDER / "nginx.conf").read_text())
    assert listens == ["8443"]
    assert "listen_addresses=127.0.0.1" in SERVICES["postgres"]["command"]
    assert SERVICES["chroma"]["command"][4:6] == ["--host", "127.0.0.1"]


def image_user():
    return [arguments for name, arguments in instructions() if name == "USER"][-1]


def test_the_settings_of_the_app_exist_and_are_valid_together(monkeypatch):
    environment = {name: filled(str(value)) for name, value in SERVICES["app"]["environment"].items()}
    environment |= dict(
        part.split("=", 1)
        for name, arguments in instructions()
        if name == "ENV"
        for part in shlex.split(arguments)
        if part.startswith("SCHOLION_")
    )
    kinds = (IngestSettings, RagSettings, PeopleSettings, OperateSettings)
    known = {f"SCHOLION_{field}".upper() for kind in kinds for field in kind.model_fields}
    assert environment.keys() <= known
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ingest, people, operate = IngestSettings(_env_file=None), PeopleSettings(_env_file=None), OperateSettings()
    assert ingest.chat_database.here
    assert ingest.chroma == "http://127.0.0.1:8000"
    assert people.is_encrypted
    assert people.listen == "127.0.0.1"
    assert f"library:{ingest.library}" in SERVICES["app"]["volumes"]
    seconds = int(SERVICES["app"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= operate.finish_seconds + 5, "an end that waits is not cut off"


def test_the_backup_of_the_docs_can_be_made(tmp_path):
    """By the product itself, with the container's disk below `tmp_path`."""
    page = " ".join((ROOT / "docs" / "containers.md").read_text(encoding="utf-8").split())
    ((shared, target),) = re.findall(r'run --rm -v "\$PWD/(\w+):(/\w+)" app python -m ui backup', page)
    (written,) = re.findall(r"python -m ui backup ([^`\s]+)`", page)
    user, group = image_user().split(":")
    assert f"`sudo install -d -o {user} -g {group} -m 700 {shared}`" in page
    assert Path(written).is_relative_to(target), "the rest of the disk is read-only"
    (tmp_path / target.removeprefix("/")).mkdir()
    library = tmp_path / "library"
    with closing(Library(IngestSettings(library=library))) as opened:
        opened.own()
    made = backup(library, tmp_path / written.removeprefix("/"), models=False, chats=None)
    assert made.file.is_file()


def test_the_example_names_every_variable_that_has_to_be_set():
    text = (FOLDER / "compose.yaml").read_text()
    example = set(re.findall(r"(?m)^(?:# )?(\w+)=", (FOLDER / "example.env").read_text()))
    assert example == set(re.findall(r"\$\{(\w+)", text))
    page = (ROOT / "docs" / "containers.md").read_text()
    assert all(f"| `{name}` |" in page for name in example)


def test_the_database_of_the_app_is_the_one_that_postgres_makes():
    made = SERVICES["postgres"]["environment"]
    address = SERVICES["app"]["environment"]["SCHOLION_CHATS"]
    assert address.startswith(f"postgresql://{made['POSTGRES_USER']}:{made['POSTGRES_PASSWORD']}@127.0.0.1/")
    assert address.endswith(f"/{made['POSTGRES_DB']}")
    assert "--username scholion" in " ".join(SERVICES["postgres"]["healthcheck"]["test"])


def test_the_image_is_built_from_what_is_there_and_fetches_only_while_it_is_built():
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    assert ".env" not in let_in
    assert all((ROOT / name).exists() for name in let_in)
    froms = [arguments for name, arguments in instructions() if name == "FROM"]
    assert {one.split()[0] for one in froms} == {"python:3.11-slim-bookworm"}
    for name, arguments in instructions():
        assert name != "ADD"
        if name == "COPY" and not arguments.startswith("--from=build"):
            for source in arguments.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(fnmatch.fnmatch(source, one) or source.startswith(f"{one}/") for one in let_in), source
        if name == "RUN" and "pip install" in arguments:
            whole = "--require-hashes" in arguments or "torch==" in arguments or "--editable" in arguments
            assert whole, arguments
            assert "torch==" in arguments or "--no-deps" in arguments
    torch = next(arguments for _, arguments in instructions() if "torch==" in arguments)
    assert f"torch=={version('torch').partition('+')[0]}" in torch
    (healthy,) = [arguments for name, arguments in instructions() if name == "HEALTHCHECK"]
    assert healthy.startswith("--interval")


def test_all_that_the_app_imports_is_in_the_image(tmp_path):
    """The files of the image alone, in a folder that cannot be written: Scholion's commands start there."""
    for name, arguments in instructions():
        if name == "COPY" and not arguments.startswith("--from=build"):
            *sources, target = arguments.split()
            for source in sources:
                place = (
                    tmp_path / target / Path(source).name if target in ("./", "requirements/") else tmp_path / target
                )
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(ROOT / source)
    (command,) = [json.loads(arguments) for name, arguments in instructions() if name == "CMD"]
    assert command[:3] == ["python", "-m", "ui"]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import ui.__main__, ui.core, ui.web.routes, ingest.__main__, rag.__main__\n"
        "for name in ('ingest', 'rag', 'ui'): print(sys.modules[name].__spec__.submodule_search_locations[0])\n"
        f"ui.__main__.main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[:3] == [str(tmp_path / name) for name in ("ingest", "rag", "ui")], done.stderr
    assert command[3] in done.stdout


def test_the_commands_of_the_services_know_their_options():
    chroma = SERVICES["chroma"]["command"]
    done = subprocess.run(
        [Path(sys.executable).parent / chroma[0], chroma[1], "--help"], capture_output=True, text=True, check=True
    )
    assert all(option in done.stdout for option in chroma if option.startswith("--"))


@pytest.mark.parametrize("where", ["app", "chroma"])
def test_an_unhealthy_service_is_noticed(where):
    """Nothing listens at the port that is asked here, so the check must fail, and not for a slip in it."""
    if where == "app":
        (text,) = [arguments for name, arguments in instructions() if name == "HEALTHCHECK"]
        test = json.loads(text.partition("CMD ")[2])
    else:
        test = SERVICES["chroma"]["healthcheck"]["test"][1:]
    code = test[-1].replace("8421", "1").replace("8000", "1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "ConnectionRefusedError" in done.stderr


def test_nginx_has_the_lines_of_the_docs():
    (documented,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "team.md").read_text(), re.DOTALL)
    wanted = [line.strip() for line in documented[documented.index("listen 443") :].splitlines() if line.strip()]
    used = [line.strip() for line in (FOLDER / "nginx.conf").read_text().splitlines()]
    own = ("listen 443", "server_name", "ssl_certificate")
    assert [line for line in wanted if not line.startswith(own) and line not in used] == []


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (tests/setup-system.sh)")
def test_nginx_takes_its_configuration(tmp_path):
    subprocess.run(
        [*CERTIFICATE, "-keyout", tmp_path / "scholion.key", "-out", tmp_path / "scholion.pem"],
        capture_output=True,
        check=True,
    )
    text = (FOLDER / "nginx.conf").read_text()
    text = text.replace("/tmp/", f"{tmp_path}/").replace("/etc/scholion/tls", str(tmp_path))
    text = text.replace("/dev/stderr", f"{tmp_path}/error.log")
    (tmp_path / "nginx.conf").write_text(text)
    done = subprocess.run([NGINX, "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

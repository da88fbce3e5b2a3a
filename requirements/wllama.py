"""Fetch llama.cpp for the browser (wllama) from npm, check it against the lock, and put what the lab needs into ui/lab.

    python requirements/wllama.py            write the files of the version in the lock
    python requirements/wllama.py --check    compare the files in ui/lab/engine with the package, and write nothing
    python requirements/wllama.py --version 3.13.0     lock another version

Needs npm. Nobody who only runs Scholion needs it: the files are in the repository.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@wllama/wllama"
ENGINE = Path(__file__).resolve().parents[1] / "ui" / "lab" / "engine"
LOCK = ENGINE / "lock.json"
FILES = {"wllama.js": "package/esm/index.min.js", "wllama.wasm": "package/esm/wasm/wllama.wasm"}
LICENCE = "package/LICENCE"


def fetched(version: str) -> bytes:
    """The package as npm has it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, f"{PACKAGE}@{version}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (file,) = Path(folder).glob("*.tgz")
        return file.read_bytes()


def integrity(data: bytes) -> str:
    """As npm writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def main() -> int:
    """Write or compare; 1 if something differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("--version", help="lock this version instead of the locked one")
    options = parser.parse_args()
    lock = json.loads(LOCK.read_text()) if LOCK.exists() else {}
    version = options.version or lock["version"]
    package = fetched(version)
    if version == lock.get("version") and integrity(package) != lock["integrity"]:
        print(f"{PACKAGE} {version} is not the package of the lock: nothing was written.", file=sys.stderr)
        return 1
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        read = {name: archive.extractfile(name) for name in (*FILES.values(), LICENCE)}
        found = {name: file.read() for name, file in read.items() if file}
    made = {
        "package": PACKAGE,
        "version": version,
        "licence": "MIT",
        "integrity": integrity(package),
        "files": {
            name: {"from": inside, "bytes": len(found[inside]), "sha256": hashlib.sha256(found[inside]).hexdigest()}
            for name, inside in FILES.items()
        },
    }
    if options.check:
        same = made == lock and all(
            lzma.decompress((ENGINE / f"{name}.xz").read_bytes()) == found[inside] for name, inside in FILES.items()
        )
        print("The files are those of the package." if same else "The files differ from the package.")
        return 0 if same else 1
    ENGINE.mkdir(exist_ok=True)
    for name, inside in FILES.items():
        packed = lzma.compress(found[inside], preset=9 | lzma.PRESET_EXTREME)
        (ENGINE / f"{name}.xz").write_bytes(packed)
        print(f"{name}: {len(found[inside]):,} bytes, {len(packed):,} in the repository")
    (ENGINE / "LICENCE").write_bytes(found[LICENCE])
    LOCK.write_text(json.dumps(made, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

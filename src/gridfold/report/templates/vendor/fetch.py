"""Put the report's chart library together from D3's published modules; `make d3` runs this.

What is fetched is fixed by version and by the registry's own digest, so the result is the same
file everywhere. Nothing is compiled: the modules' minified files follow each other in the order in
which they need each other.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
REGISTRY = "https://registry.npmjs.org"


def fetch(name: str, version: str, integrity: str) -> tarfile.TarFile:
    """Return a package of the npm registry, or stop if it is not the one that was recorded."""
    url = f"{REGISTRY}/{name}/-/{name}-{version}.tgz"
    with urllib.request.urlopen(url, timeout=60) as answer:  # nosec B310  # always https
        content = answer.read()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != integrity:
        raise SystemExit(f"{url} has the digest {digest}, not {integrity}")
    return tarfile.open(fileobj=io.BytesIO(content))


def read(package: tarfile.TarFile, name: str) -> str:
    """Return a text file of a package."""
    file = package.extractfile(f"package/{name}")
    assert file is not None
    return file.read().decode().strip()


def main() -> None:
    """Write ``d3.js`` and ``d3.LICENSE`` as ``d3.json`` says."""
    record = json.loads((HERE / "d3.json").read_text())
    code: list[str] = []
    licences: dict[str, list[str]] = {}
    # What d3-array's file holds of another project has a licence of its own.
    for name, module in (record["modules"] | record["bundled"]).items():
        package = fetch(name, module["version"], module["integrity"])
        if name in record["modules"]:
            code.append(read(package, f"dist/{name}.min.js"))
        licences.setdefault(read(package, "LICENSE"), []).append(f"{name} {module['version']}")
    notice = "\n\n".join(f"{', '.join(names)}\n\n{text}" for text, names in licences.items())
    # Every report is a copy of the code, so the licence travels inside.
    text = "\n".join((f"/*!\n{notice}\n*/", *code, ""))
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest != record["sha256"]:
        raise SystemExit(f"d3.js would have the digest {digest}, not {record['sha256']}")
    (HERE / "d3.js").write_text(text, encoding="utf-8")
    (HERE / "d3.LICENSE").write_text(f"{notice}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

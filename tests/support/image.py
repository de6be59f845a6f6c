"""Make a root file system as a definition of an image says, or an image by Apptainer.

As a program, as root on Debian: ``python tests/support/image.py workflow/envs/gridfold-cpu.def
FOLDER``. The folder is kept and can be removed with ``rm -r``. Where it holds the Debian that the
definition begins with already, that one is used.

With ``--engine apptainer``, Apptainer builds an image file. The Debian that it begins with is made
from Debian's packages here as well, since not every machine may fetch images.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workbench import ROOT

MIRROR = "http://deb.debian.org/debian"
# Where the stand-in for an engine finds what the definition sets for every command.
ENVIRONMENT = ".image-environment"
_RESOLVER = "/etc/resolv.conf"
_CERTIFICATES = "/etc/certificates-of-the-machine.crt"


@dataclass(frozen=True)
class Definition:
    """What a definition file says.

    Attributes
    ----------
    suite : str
        Debian's name of the release that the image begins with.
    files : list of tuple of str
        Path in the project, path in the image.
    post, environment, test : str
        Lines of a shell: what makes the image, what is set in it, whether it is good.
    """

    suite: str
    files: list[tuple[str, str]]
    post: str
    environment: str
    test: str

    @classmethod
    def read(cls, file: Path) -> Definition:
        """Read a definition that begins with an image of Debian."""
        head, *sections = re.split(r"^%", file.read_text(encoding="utf-8"), flags=re.M)
        found = dict(re.findall(r"^(\w+): (.*)$", head, re.M))
        assert found["Bootstrap"] == "docker"
        image = re.fullmatch(r"debian:(\w+)-slim", found["From"])
        assert image
        texts = dict(section.split("\n", 1) for section in sections)
        pairs = [line.split() for line in texts["files"].splitlines() if line.strip()]
        return cls(
            image[1],
            [(source, target) for source, target in pairs],
            *(texts[name] for name in ("post", "environment", "test")),
        )


def build(definition: Definition, root: Path) -> None:
    """Make the image's root file system and test it."""
    if not (root / "etc").exists():
        _make_plain(definition.suite, root)
    for source, target in definition.files:
        place = root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / source, place)
    (root / ENVIRONMENT).write_text(definition.environment)
    for text in (definition.post, f"{definition.environment}\n{definition.test}"):
        run(root, text)


def build_image(file: Path, image: Path) -> None:
    """Let Apptainer build an image."""
    text = file.read_text(encoding="utf-8")
    certificates = os.environ.get("SSL_CERT_FILE")
    with tempfile.TemporaryDirectory() as folder:
        plain, changed = Path(folder, "plain"), Path(folder, "changed.def")
        _make_plain(Definition.read(file).suite, plain)
        # Apptainer shows devices of its own, and not every account may copy these.
        shutil.rmtree(plain / "dev")
        (plain / "dev").mkdir()
        head = f"Bootstrap: localimage\nFrom: {plain}\n"
        text = re.sub(r"\ABootstrap: .*\nFrom: .*\n", head, text)
        if certificates:
            text = text.replace("%files\n", f"%files\n    {certificates} {_CERTIFICATES}\n")
            known = f"SSL_CERT_FILE={_CERTIFICATES} PIP_CERT={_CERTIFICATES}"
            text = text.replace("%post\n", f"%post\n    export {known}\n")
        changed.write_text(text, encoding="utf-8")
        image.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apptainer", "build", "--force", image, changed], cwd=ROOT, check=True)


def _make_plain(suite: str, root: Path) -> None:
    """Make a plain Debian."""
    root.parent.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--variant=minbase", suite, str(root), MIRROR]
    subprocess.run(command, check=True)


def run(root: Path, text: str) -> None:
    """Run lines of a shell as root in the root file system, with the machine's network."""
    places = ["--dev", "/dev", "--proc", "/proc", "--ro-bind", _RESOLVER, _RESOLVER]
    variables = {name: os.environ[name] for name in os.environ if name.endswith("_proxy")}
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates:
        # Those of a proxy of the institution among them.
        places += ["--ro-bind", certificates, _CERTIFICATES]
        variables |= {"SSL_CERT_FILE": _CERTIFICATES, "PIP_CERT": _CERTIFICATES}
    subprocess.run(
        ["bwrap", "--bind", root, "/", *places, "--chdir", "/", "bash", "-euc", text],
        env={
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            **variables,
        },
        check=True,
    )


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description="Make a root file system of an image.")
    parser.add_argument("definition", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--engine", choices=("bubblewrap", "apptainer"), default="bubblewrap")
    options = parser.parse_args()
    if options.engine == "apptainer":
        build_image(options.definition, options.image)
    else:
        build(Definition.read(options.definition), options.image)


if __name__ == "__main__":
    main()

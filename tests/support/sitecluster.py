"""A Slurm as a site has it: nodes apart from each other, memory that is kept, a normal user.

Login node and nodes are namespaces of this machine: each has a network address, a host name,
process numbers, a ``/tmp`` and mounts of its own. What they share is ``/home``, as on a cluster
with a network file system. Jobs are limited to their memory by control groups. All daemons are
Debian's.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from slurmcluster import ACCOUNT, SlurmCluster
from slurmcluster import missing as missing_for_slurm
from workbench import ROOT

USER = "researcher"
_ID = 2001
LOGIN = "login"
# A site's nodes are of several kinds. Name, cores, memory in MB.
SIZES = {"n1": (4, 10_000), "n2": (4, 10_000), "n3": (8, 20_000)}
_CGROUPS = Path("/sys/fs/cgroup")
_PROGRAMS = ("unshare", "nsenter", "ip", "mount")

# The first process of a namespace: it waits for all that have lost their parent.
_FIRST = "while true; do sleep 3600 & wait; done"


def missing() -> str:
    """Say what keeps such a cluster from starting here; empty when nothing does."""
    if reason := missing_for_slurm():
        return reason
    if absent := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(absent)} not found; on Debian: apt-get install util-linux iproute2"
    if not (_CGROUPS / "memory" / "release_agent").exists():
        return (
            "there are no control groups of version 1 for memory, by which this Slurm limits jobs"
        )
    return ""


class SiteCluster(SlurmCluster):
    """A cluster of namespaces that runs while the ``with`` block does.

    Parameters
    ----------
    folder : Path
        On a file system that is not ``/tmp``, of which each node has its own.
    accounting : bool
    """

    def __init__(self, folder: Path, *, accounting: bool = True) -> None:
        super().__init__(folder, accounting=accounting)
        self._first: dict[str, int] = {}
        self._holders: list[subprocess.Popen[bytes]] = []
        # Control groups are by the names of nodes, and other clusters may run on this machine.
        # Not the folder's name: that may end with what no host name ends with.
        self._site = secrets.token_hex(4)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(f"{name}-{self._site}" for name in SIZES)

    @property
    def home(self) -> Path:
        """The user's folder, by its path on this machine."""
        return self.folder / "home" / USER

    def seen(self, file: Path) -> Path:
        """Return the path that the user has for a file below :attr:`home`."""
        return Path("/home") / USER / file.relative_to(self.home)

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in super().environment.items() if not k.startswith("XDG_")}
        return kept | {"HOME": f"/home/{USER}", "USER": USER, "LOGNAME": USER, "TMPDIR": "/tmp"}

    def login(self, folder: Path) -> list[str]:
        become = ["setpriv", f"--reuid={_ID}", f"--regid={_ID}", "--clear-groups"]
        return [*self._enter(LOGIN), *become, "env", f"--chdir={self.seen(folder)}"]

    def give(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _ID, _ID, follow_symlinks=False)

    def _enter(self, place: str) -> list[str]:
        number = self._first[place if place in self._first else LOGIN]
        return ["nsenter", f"--target={number}", *("-n", "-u", "-i", "-m", "-p")]

    # -- starting and stopping -------------------------------------------------------------------

    def _start(self) -> None:
        # Sockets, configuration and home are for everybody.
        for folder in (self.folder, self.folder.parent):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        self.home.mkdir(parents=True)
        self.give(self.home)
        for number, name in enumerate((LOGIN, *self.nodes), start=1):
            self._begin(name, f"10.9.0.{number}")
        super()._start()

    def _begin(self, name: str, address: str) -> None:
        """Begin the namespaces of a node, and connect it with the others."""
        script = self.folder / f"{name}.sh"
        ready = self.folder / f"{name}.ready"
        mounts = _mounts(self.folder, self._etc())
        script.write_text(
            "\n".join(["set -e", *mounts, f"hostname {name}", f"touch {ready}", _FIRST])
        )
        with (self.folder / f"{name}.setup.out").open("wb") as out:
            holder = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts", "--ipc"),
                    *("--mount", "--pid", "--fork", "--kill-child", "bash", str(script)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._holders.append(holder)
        self._wait(
            f"the namespaces of {name}: {(self.folder / f'{name}.setup.out').read_text()}",
            lambda: ready.exists() or holder.poll() is not None,
        )
        assert ready.exists(), (self.folder / f"{name}.setup.out").read_text()
        (first,) = psutil.Process(holder.pid).children()
        self._first[name] = first.pid
        inside = ["nsenter", f"--target={first.pid}", "--net", "ip"]
        if name == LOGIN:
            _run(*inside, *["link", "add", "bridge", "type", "bridge"])
            device = "bridge"
        else:
            login, device = self._first[LOGIN], "eth0"
            own = f"node{len(self._first)}"
            there = ["nsenter", f"--target={login}", "--net", "ip", "link"]
            _run(*there, "add", own, *f"type veth peer name {device} netns {first.pid}".split())
            _run(*there, "set", own, "master", "bridge", "up")
        _run(*inside, "address", "add", f"{address}/24", "dev", device)
        for each in (device, "lo"):
            _run(*inside, "link", "set", each, "up")

    def _etc(self) -> dict[str, str]:
        """Return the files of ``/etc`` that differ from this machine's, by name."""
        hosts = [f"10.9.0.{n} {name}" for n, name in enumerate((LOGIN, *self.nodes), start=1)]
        return {
            "hosts": "\n".join(["127.0.0.1 localhost", *hosts, ""]),
            "passwd": f"{Path('/etc/passwd').read_text()}"
            f"{USER}:x:{_ID}:{_ID}::/home/{USER}:/bin/bash\n",
            "group": f"{Path('/etc/group').read_text()}{USER}:x:{_ID}:\n",
        }

    def _login_host(self) -> str:
        return f"{LOGIN}(10.9.0.1)"

    def _hardware(self) -> str:
        (self.folder / "cgroup.conf").write_text(
            f"CgroupPlugin=cgroup/v1\nCgroupMountpoint={_CGROUPS}\nConstrainRAMSpace=yes\n"
        )
        sizes = zip(self.nodes, SIZES.values(), strict=True)
        nodes = "".join(
            f"NodeName={name} NodeAddr={name} CPUs={cores} RealMemory={memory}\n"
            for name, (cores, memory) in sizes
        )
        every, one = ",".join(self.nodes), self.nodes[0]
        return f"""\
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
{nodes}\
PartitionName=cpu-24h Nodes={every} Default=YES MaxTime=24:00:00 DefMemPerCPU=2500
PartitionName=int Nodes={one} MaxTime=00:30:00 DefMemPerCPU=2500
PartitionName=24-48 Nodes={every} MaxTime=2-00:00:00 DefMemPerCPU=2500
PartitionName=00123 Nodes={one} MaxTime=00:30:00 DefMemPerCPU=2500
"""

    def _start_accounting(self) -> None:
        super()._start_accounting()
        self.run(*f"sacctmgr --immediate add user {USER} account={ACCOUNT}".split())

    def stop(self) -> None:
        if self._first:
            super().stop()
        for holder in self._holders:
            holder.kill()
            holder.wait()
        self._holders.clear()
        for left in _CGROUPS.glob(f"*/slurm_*-{self._site}"):
            for group in sorted(left.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    group.rmdir()
            with contextlib.suppress(OSError):
                left.rmdir()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _mounts(folder: Path, etc: dict[str, str]) -> list[str]:
    """Return the commands that make a namespace see what a node of a cluster has.

    The interpreter, its packages and the project stay where they are, though above them may be
    what only root may enter, or what a node has its own of.
    """
    commands = ["mount --make-rprivate /", "mount -t proc proc /proc"]
    kept = {Path(path).resolve() for path in (sys.prefix, sys.base_prefix, ROOT)}
    hidden: dict[Path, Path] = {}
    for number, path in enumerate(sorted(kept)):
        if (above := _closed_above(path)) is not None:
            hidden[path] = above
            stash = folder / "kept" / str(number)
            stash.mkdir(parents=True, exist_ok=True)
            commands.append(f"mount --bind {shlex.quote(str(path))} {stash}")
    for above in sorted(set(hidden.values()) | {Path("/tmp"), Path("/dev/shm")}):
        mode = "1777" if above in (Path("/tmp"), Path("/dev/shm")) else "755"
        commands.append(f"mount -t tmpfs -o mode={mode} tmpfs {shlex.quote(str(above))}")
    commands.append(f"mount --bind {folder / 'home'} /home")
    for number, path in enumerate(sorted(kept)):
        if path in hidden:
            place = shlex.quote(str(path))
            commands.append(
                f"mkdir -p {place}; mount --bind {folder / 'kept' / str(number)} {place}"
            )
    for name, text in etc.items():
        file = folder / "etc" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        commands.append(f"mount --bind {file} /etc/{name}")
    return commands


def _closed_above(path: Path) -> Path | None:
    """Return the topmost folder above a path that nodes have their own of, or only root enters."""
    for above in reversed(path.parents):
        if above in (Path("/tmp"), Path("/home")) or not above.stat().st_mode & 0o001:
            return above
    return None


@contextlib.contextmanager
def running(*, accounting: bool = True) -> Iterator[SiteCluster]:
    """Run a cluster for the time of the block."""
    folder = Path(tempfile.mkdtemp(prefix="gridfold-", dir="/var/tmp"))
    try:
        with SiteCluster(folder / "site", accounting=accounting) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run a cluster by hand until it is interrupted, and say how its user comes in."""
    with (
        running(accounting="--accounting" in sys.argv) as cluster,
        contextlib.suppress(KeyboardInterrupt),
    ):
        variables = ("SLURM_CONF", "PATH", "HOME", "USER")
        given = [f"{name}={cluster.environment[name]}" for name in variables]
        print(shlex.join([*cluster.login(cluster.home), *given, "bash"]), flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()

"""A real Slurm on this machine: accounting, two CPU nodes, two "GPU" nodes, all in one folder.

Nothing here is a stand-in. munged, MariaDB, slurmdbd, slurmctld and four slurmd are Debian's own;
only the GPUs are character devices without a GPU behind them, which is all that Slurm looks at.
Several slurmd on one host: https://slurm.schedmd.com/programmer_guide.html#multiple_slurmd_support
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

COMMANDS = (
    "sbatch",
    "srun",
    "squeue",
    "scancel",
    "scontrol",
    "sinfo",
    "sacct",
    "sacctmgr",
    "sshare",
)
PROGRAMS = ("munged", "slurmctld", "slurmd", "setpriv", *COMMANDS)
ACCOUNTING_PROGRAMS = ("mariadbd", "mariadb-install-db", "slurmdbd")
ACCOUNT = "research"
_START_SECONDS = 60
CLUSTER = "gridfold"
NODES = {"c1": "", "c2": "", "g1": " Gres=gpu:v100:4", "g2": " Gres=gpu:v100:4"}
CPUS = 40
MEMORY = 384_000


def missing() -> str:
    """Say what keeps a cluster from starting here; empty when nothing does."""
    if os.geteuid() != 0:
        return "slurmd starts jobs for other users, so the test cluster must be started as root"
    absent = [p for p in (*PROGRAMS, *ACCOUNTING_PROGRAMS) if _which(p) is None]
    if absent:
        return (
            f"{', '.join(absent)} not found; on Debian as root: make slurm, or "
            "apt-get install slurm-wlm slurmdbd munge mariadb-server"
        )
    return ""


def _which(program: str) -> str | None:
    # Debian's daemons are in sbin, which is not on everybody's path.
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class SlurmCluster:
    """A cluster that runs while the ``with`` block does.

    Parameters
    ----------
    folder : Path
        For its configuration, state and logs; its path must be short, for sockets are in it.
    accounting : bool
        With slurmdbd, as most sites; without, ``sacct`` knows nothing.
    cpus : int
        Cores that each node claims to have.
    """

    def __init__(self, folder: Path, *, accounting: bool = True, cpus: int = CPUS) -> None:
        self.folder = folder
        self.accounting = accounting
        self._cpus = cpus
        self._daemons: list[tuple[str, subprocess.Popen[bytes]]] = []

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes that run jobs."""
        return tuple(NODES)

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell has on this cluster."""
        # A machine may have variables of another Slurm, or of a job that runs the tests.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
        return kept | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
        }

    def __enter__(self) -> SlurmCluster:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what a user does ------------------------------------------------------------------------

    def login(self, folder: Path) -> list[str]:
        """Return the words before a command by which a user runs it in a folder."""
        del folder
        return []

    def give(self, folder: Path) -> None:
        """Let a folder and what is in it belong to the user."""

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command on the cluster's login node and return what it prints."""
        program = shutil.which(command[0], path=self.environment["PATH"]) or command[0]
        answer = subprocess.run(
            [*self._enter("login"), program, *command[1:]],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=self.folder,
        )
        assert not check or answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        return answer.stdout.strip()

    def jobs(self, *fields: str) -> list[dict[str, str]]:
        """Return every job since the cluster's start, as `sacct` tells them.

        What a comment says in words beside rule and wildcards is the field ``Label``.
        """
        # Without a start time, sacct tells the jobs since midnight alone.
        lines = self.run(
            *("sacct", "--allocations", "--parsable2", "--noheader", "--starttime=now-1day"),
            f"--format={','.join(fields)}",
        ).splitlines()
        rows = [dict(zip(fields, line.split("|"), strict=True)) for line in lines]
        for row in rows:
            if "Comment" in row:
                row["Comment"], _, row["Label"] = row["Comment"].partition(" ")
        return rows

    def queue(self) -> list[str]:
        """Return the ids of jobs that have not ended."""
        return self.run("squeue", "--noheader", "--format=%i").split()

    # -- what an administrator does --------------------------------------------------------------

    def stop_controller(self) -> None:
        """End slurmctld; jobs go on, and no command of a user has an answer."""
        (process,) = (process for name, process in self._daemons if name == "slurmctld")
        process.terminate()
        process.wait(timeout=60)
        self._daemons.remove(("slurmctld", process))

    def start_controller(self) -> None:
        """Start slurmctld again, with the jobs that it has known."""
        self._daemon("slurmctld", "slurmctld", "-D")
        self._wait("slurmctld", lambda: " is UP" in self.run("scontrol", "ping", check=False))

    # -- starting and stopping -------------------------------------------------------------------

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "state").mkdir(exist_ok=True)
        self._write_commands()
        self._start_munge()
        if self.accounting:
            self._start_accounting()
        self._write_configuration()
        self._daemon("slurmctld", "slurmctld", "-D")
        for node in self.nodes:
            self._daemon(node, "slurmd", "-D", "-N", node)
        self._wait("all nodes to be idle", self._all_idle)

    def _write_commands(self) -> None:
        """Put Slurm's commands on the path, told where this cluster's configuration is.

        snakemake-executor-plugin-slurm-jobstep 0.6.1 takes ``SLURM_CONF`` from the environment of
        `srun`, which then looks into ``/etc/slurm``: not ours to write.
        """
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        for command in COMMANDS:
            file = folder / command
            file.write_text(
                f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {_which(command)} "$@"\n'
            )
            file.chmod(0o755)

    def _start_munge(self) -> None:
        files = {
            name: self.folder / f"munge.{name.partition('-')[0]}"
            for name in ("key-file", "pid-file", "log-file", "seed-file", "socket")
        }
        files["key-file"].touch(mode=0o600)
        files["key-file"].write_bytes(os.urandom(128))
        options = [f"--{name}={file}" for name, file in files.items()]
        # --force: munged warns that root runs it.
        self._daemon("munged", "munged", "--foreground", "--force", *options)
        self._wait("munge's socket", (self.folder / "munge.socket").exists)

    def _start_accounting(self) -> None:
        data = self.folder / "mariadb"
        subprocess.run(
            [
                _which("mariadb-install-db") or "",
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ],
            check=True,
            capture_output=True,
        )
        port = free_port()
        self._daemon(
            "mariadb",
            "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            "--user=root",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--socket={self.folder / 'mariadb.socket'}",
            f"--pid-file={self.folder / 'mariadb.pid'}",
            # Small and careless: the database lives as long as the tests.
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=16M",
            "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-log-bin",
        )
        self._wait("MariaDB", lambda: self._answers(port))
        self._accounting_port = free_port()
        file = self.folder / "slurmdbd.conf"
        # slurmdbd refuses a file that others may read: it may hold a password.
        file.touch(mode=0o600)
        file.write_text(
            f"""\
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self._accounting_port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={port}
StorageUser=root
StorageLoc=slurm
LogFile={self.folder}/slurmdbd.log
PidFile={self.folder}/slurmdbd.pid
"""
        )
        self._write_configuration()
        self._daemon("slurmdbd", "slurmdbd", "-D")
        self._wait("slurmdbd", lambda: self._answers(self._accounting_port))
        for words in (
            f"cluster {CLUSTER}",
            f"account {ACCOUNT} cluster={CLUSTER}",
            f"user root account={ACCOUNT}",
        ):
            self.run("sacctmgr", "--immediate", "add", *words.split())

    def _write_configuration(self) -> None:
        """Write slurm.conf and gres.conf, once."""
        file = self.folder / "slurm.conf"
        if file.exists():
            return
        accounting = (
            f"""\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self._accounting_port}
AccountingStoragePass={self.folder}/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment
"""
            if self.accounting
            else "AccountingStorageType=accounting_storage/none\n"
        )
        file.write_text(
            f"""\
ClusterName={CLUSTER}
SlurmctldHost={self._login_host()}
SlurmctldPort={free_port()}
SlurmUser=root
AuthType=auth/munge
# A requeued job waits until its old credential has expired, by default two minutes.
AuthInfo=socket={self.folder}/munge.socket,cred_expire=10
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool-%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd-%n.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd-%n.log
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# The nodes claim more than the machine has.
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
GresTypes=gpu
# Time limits, queues and requeued jobs must not take minutes here.
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0
KillWait=5
OverTimeLimit=0
MinJobAge=300
{accounting}{self._hardware()}"""
        )

    def _login_host(self) -> str:
        """Return the name and the address of where slurmctld runs."""
        return f"{socket.gethostname().partition('.')[0]}(127.0.0.1)"

    def _hardware(self) -> str:
        """Return the lines of slurm.conf about nodes and partitions, and write gres.conf."""
        host = socket.gethostname().partition(".")[0]
        nodes = "".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} "
            f"CPUs={self._cpus} RealMemory={MEMORY}{gres}\n"
            for name, gres in NODES.items()
        )
        (self.folder / "gres.conf").write_text(
            "NodeName=g[1-2] Name=gpu Type=v100 File=/dev/tty[0-3]\n"
        )
        return f"""\
# Control groups would be shared by the nodes, which are all this one machine. Process groups, since
# proctrack/linuxproc loses sight of a process whose parent has ended.
ProctrackType=proctrack/pgid
TaskPlugin=task/none
{nodes}\
PartitionName=cpu Nodes=c[1-2] Default=YES MaxTime=2-00:00:00
PartitionName=gpu Nodes=g[1-2] MaxTime=2-00:00:00
# As on SDSC Expanse, for its profile.
PartitionName=shared Nodes=c[1-2] MaxTime=2-00:00:00
PartitionName=gpu-shared Nodes=g[1-2] MaxTime=2-00:00:00
# Names that Python or YAML take for something else.
PartitionName=24-48 Nodes=c[1-2] MaxTime=1-00:00:00
PartitionName=00123 Nodes=c[1-2] MaxTime=00:20:00
PartitionName=int Nodes=c[1-2] MaxTime=00:20:00
PartitionName=all Nodes=c[1-2],g[1-2] MaxTime=00:20:00
"""

    def _answers(self, port: int) -> bool:
        """Tell whether a daemon listens to a port of the login node."""
        question = [*self._enter("login"), "bash", "-c", f"< /dev/tcp/127.0.0.1/{port}"]
        return subprocess.run(question, capture_output=True, check=False).returncode == 0

    def _enter(self, place: str) -> list[str]:
        """Return the words before a command by which it runs on a node or the login node."""
        del place
        return []

    def _all_idle(self) -> bool:
        states = self.run("sinfo", "--Node", "--noheader", "--format=%N %T", check=False)
        return sorted(set(states.splitlines())) == [f"{node} idle" for node in sorted(self.nodes)]

    def _daemon(self, name: str, program: str, *options: str) -> None:
        with (self.folder / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(
                [
                    *self._enter(name),
                    # Ended by the kernel when the tests are killed and can't do it themselves.
                    *("setpriv", "--pdeathsig", "TERM"),
                    *(_which(program) or program, *options),
                ],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal is for the tests, which then stop the cluster in order.
                start_new_session=True,
            )
        self._daemons.append((name, process))

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            dead = [name for name, process in self._daemons if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(
                    f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}"
                    for file in sorted(self.folder.glob("*"))
                    if file.suffix in (".log", ".out") and file.stat().st_size
                )
                raise RuntimeError(
                    f"the test cluster waited in vain for {what}; ended: {dead}\n{logs}"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Cancel all jobs and end everything that was started, in reverse order."""
        with contextlib.suppress(AssertionError, OSError, subprocess.TimeoutExpired):
            if any(name == "slurmctld" for name, _ in self._daemons):
                self.run("scancel", "--user=root", check=False)
                deadline = time.monotonic() + 15
                while self.queue() and time.monotonic() < deadline:
                    time.sleep(0.2)
        while self._daemons:
            _, process = self._daemons.pop()
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, *, accounting: bool = True, cpus: int = CPUS) -> Iterator[SlurmCluster]:
    """Run a cluster for the time of the block."""
    with SlurmCluster(folder, accounting=accounting, cpus=cpus) as cluster:
        yield cluster


def main(words: Sequence[str]) -> None:
    """Run a cluster by hand: ``python tests/support/slurmcluster.py FOLDER [--no-accounting]``."""
    with running(Path(words[0]), accounting="--no-accounting" not in words) as cluster:
        for name in ("SLURM_CONF", "PATH"):
            print(f"export {name}={cluster.environment[name]}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])

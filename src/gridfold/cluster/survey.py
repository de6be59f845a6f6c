"""Ask a Slurm what it is like: its partitions and their nodes, its rules, and who one is there."""

from __future__ import annotations

import getpass
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gridfold.cluster.commands import SBATCH, SlurmSilent, ask
from gridfold.cluster.slurm import is_down, minutes_of

# Each question has so long; a controller that needs more has other worries than this one.
QUESTION_SECONDS = 20.0
# Of so many partitions Slurm is asked whether it would take a job there; some sites have hundreds.
_MOST_TRIED = 30
# Ways to say who one is, where the usual one is refused.
_MOST_CHOICES = 12
# In which a node takes no job, however long one waits.
_UNUSABLE = ("down", "drain", "fail", "inval", "unk", "future", "error", "planned_down")
# What a job of the smallest kind asks for. Some sites refuse more than one of these.
_TRIED_MEMORY_MB = 100
_TRIED_MINUTES = 1
_PARTITION_FIELDS = "%R|%c|%m|%G|%T|%D"
_ASSOCIATION_FIELDS = ("Account", "Partition", "QOS", "DefaultQOS", "MaxJobs", "MaxSubmit")
_QOS_FIELDS = ("Name", "MaxWall", "MaxSubmitPU", "MaxJobsPU")
_NONE = ("", "(null)", "N/A", "NONE", "UNLIMITED", "INFINITE")


@dataclass(frozen=True)
class Gpus:
    """GPUs of a node of one type; the type is empty where a site gives them none."""

    type: str
    count: int

    @property
    def is_part(self) -> bool:
        """Tell whether these are parts of GPUs (MIG)."""
        return re.search(r"\d+g\.\d+gb", self.type) is not None


@dataclass(frozen=True)
class NodeKind:
    """Nodes of a partition that are alike.

    Attributes
    ----------
    cores, memory_mb : int
        Of one node, as Slurm counts them; 1 MB of memory means that the site has told Slurm none.
    gpus : tuple of Gpus
    nodes, usable : int
        How many there are, and how many of them are neither down nor drained.
    """

    cores: int
    memory_mb: int
    gpus: tuple[Gpus, ...] = ()
    nodes: int = 1
    usable: int = 1


@dataclass(frozen=True)
class Partition:
    """A partition of Slurm, as this user sees it.

    Attributes
    ----------
    name : str
    is_default, is_up : bool
    minutes : int or None
        Its time limit; None where it has none.
    whole_nodes : bool
        Whether a job gets its nodes alone.
    nodes : tuple of NodeKind
    accounts, groups, qos : tuple of str
        Who may use it; all where empty.
    own_qos : str
        Whose limits hold for all jobs there; empty for none.
    account, named_qos : str
        Which account and quality of service this user must name there; empty where the default
        ones will do.
    default_memory : str
        What a job gets that asks for no memory, in Slurm's words, as ``DefMemPerCPU=2500``.
    most_memory_per_core : int or None
        In MB; a job that asks for more gets, and pays, more cores.
    refusal : str
        Why Slurm does not take a job of this user's there; empty where it does.
    takes_memory, takes_memory_per_core : bool
        Whether a job may say there how much memory it wants, on a node or for each core.
    """

    name: str
    is_default: bool = False
    is_up: bool = True
    minutes: int | None = None
    whole_nodes: bool = False
    nodes: tuple[NodeKind, ...] = ()
    accounts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    own_qos: str = ""
    account: str = ""
    named_qos: str = ""
    default_memory: str = ""
    most_memory_per_core: int | None = None
    refusal: str = ""
    takes_memory: bool = True
    takes_memory_per_core: bool = True

    @property
    def is_open(self) -> bool:
        """Tell whether a job of this user's can run there."""
        return self.is_up and not self.refusal and any(kind.usable for kind in self.nodes)

    @property
    def usual(self) -> NodeKind:
        """What most of its nodes are like, those that can be used before others."""
        return max(self.nodes, key=lambda kind: (kind.usable, kind.nodes, -kind.cores))

    @property
    def has_gpus(self) -> bool:
        """Tell whether some of its nodes have GPUs."""
        return any(kind.gpus for kind in self.nodes)


@dataclass(frozen=True)
class Account:
    """An account that this user may name.

    Attributes
    ----------
    name : str
    partition : str
        The one partition for which it is; empty for all.
    qos : tuple of str
        Qualities of service that it may name.
    default_qos : str
    most_jobs : int or None
        Jobs in the queue at once, running ones included.
    """

    name: str
    partition: str = ""
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    most_jobs: int | None = None


@dataclass(frozen=True)
class Qos:
    """Limits of a quality of service; None where there is none."""

    name: str
    minutes: int | None = None
    most_jobs: int | None = None


@dataclass(frozen=True)
class Survey:
    """What a Slurm has answered.

    Attributes
    ----------
    cluster, version, user : str
    partitions : tuple of Partition
    accounts : tuple of Account
    default_account : str
    qos : tuple of Qos
    has_accounting : bool
        Whether `sacct` knows jobs that have ended.
    demands_account : bool
        Whether a job without a known account is refused.
    counts_memory : bool
        Whether memory is shared out, as cores are.
    remembers_seconds : int or None
        How long `squeue` knows a job after its end (``MinJobAge``).
    requeues : bool or None
        Whether Slurm takes a job that wants to start again by itself; None where nothing was tried.
    requeues_by_default : bool
    silent : tuple of str
        Questions without an answer, with what was said instead.
    """

    cluster: str
    version: str
    user: str
    partitions: tuple[Partition, ...] = ()
    accounts: tuple[Account, ...] = ()
    default_account: str = ""
    qos: tuple[Qos, ...] = ()
    has_accounting: bool = False
    demands_account: bool = False
    counts_memory: bool = True
    remembers_seconds: int | None = None
    requeues: bool | None = None
    requeues_by_default: bool = True
    silent: tuple[str, ...] = ()

    def limit(self, partition: Partition) -> int | None:
        """Return the minutes that a job may take in a partition, by it and by quality of service.

        Of several accounts, the one counts that jobs there are charged to.
        """
        limits = [partition.minutes, *(qos.minutes for qos in self._in_force(partition))]
        return min((limit for limit in limits if limit), default=None)

    def most_jobs(self, partition: Partition) -> int | None:
        """Return how many jobs this user may have in a partition's queue; None without a limit."""
        limits = [account.most_jobs for account in self._charged(partition)]
        limits += [qos.most_jobs for qos in self._in_force(partition)]
        return min((limit for limit in limits if limit), default=None)

    def _in_force(self, partition: Partition) -> list[Qos]:
        """Return the qualities of service that limit this user's jobs in a partition."""
        usual = {account.default_qos for account in self._charged(partition)}
        names = {partition.own_qos} | ({partition.named_qos} if partition.named_qos else usual)
        return [qos for qos in self.qos if qos.name in names]

    def _charged(self, partition: Partition) -> list[Account]:
        name = partition.account or self.default_account
        return [account for account in self.accounts if not name or account.name == name]


@dataclass
class _Questions:
    """Asks; keeps what had no answer."""

    silent: list[str] = field(default_factory=list)

    def text(self, *command: str) -> str:
        try:
            answer = ask(*command, seconds=QUESTION_SECONDS)
        except SlurmSilent as error:
            self.silent.append(f"{command[0]}: {error}")
            return ""
        if not answer.is_good:
            said = answer.error.splitlines() or ["no answer"]
            self.silent.append(f"{' '.join(command[:3])}: {said[0]}")
            return ""
        return answer.text


def survey() -> Survey:
    """Ask the Slurm of this machine.

    Raises
    ------
    SlurmSilent
        When it is not here, or no controller answers.
    """
    # At once: the other commands try for long.
    if is_down(seconds=QUESTION_SECONDS / 2):
        raise SlurmSilent("Slurm does not answer: no controller is up (`scontrol ping`)")
    configuration = ask("scontrol", "show", "config", seconds=QUESTION_SECONDS)
    user = getpass.getuser()
    questions = _Questions()
    rules = questions.text("scontrol", "--oneliner", "show", "partition")
    nodes = questions.text("sinfo", "--noheader", "--exact", f"--format={_PARTITION_FIELDS}")
    found = read_config(configuration.text, user)
    if found.has_accounting:
        mine = ("--noheader", "--parsable2", "show")
        found = replace(
            found,
            accounts=read_accounts(
                questions.text(
                    "sacctmgr",
                    *(*mine, "associations", f"user={user}"),
                    f"format={','.join(_ASSOCIATION_FIELDS)}",
                )
            ),
            default_account=questions.text(
                "sacctmgr", *mine, "user", user, "format=DefaultAccount"
            ).strip(),
            qos=read_qos(
                questions.text("sacctmgr", *mine, "qos", f"format={','.join(_QOS_FIELDS)}")
            ),
        )
    partitions = _tried(read_partitions(rules, nodes), found.accounts)
    return replace(
        found,
        partitions=tuple(partitions),
        requeues=_requeues(partitions),
        silent=tuple(questions.silent),
    )


def _tried(partitions: Sequence[Partition], accounts: Sequence[Account]) -> list[Partition]:
    """Return the partitions with what Slurm says to a job of this user's in each of them."""
    return [
        _with_answer(partition, accounts) if index < _MOST_TRIED and partition.is_up else partition
        for index, partition in enumerate(partitions)
    ]


def _with_answer(partition: Partition, accounts: Sequence[Account]) -> Partition:
    memory = f"--mem={_TRIED_MEMORY_MB}"
    if not _refusal(partition.name, memory):
        return partition
    without = _refusal(partition.name)
    named, options = partition, list[str]()
    if without:
        # Where the default account and quality of service may not, others may.
        for account, qos in _choices(partition, accounts):
            options = [f"--account={account}", *([f"--qos={qos}"] if qos else [])]
            if not _refusal(partition.name, *options):
                named = replace(partition, account=account, named_qos=qos)
                break
        else:
            return replace(partition, refusal=without)
    if not _refusal(partition.name, *options, memory):
        return named
    by_core = not _refusal(partition.name, *options, f"--mem-per-cpu={_TRIED_MEMORY_MB}")
    return replace(named, takes_memory=False, takes_memory_per_core=by_core)


def _choices(partition: Partition, accounts: Sequence[Account]) -> Iterator[tuple[str, str]]:
    """Yield accounts with a quality of service, or with none, that a job may name."""
    fitting = [a for a in accounts if a.partition in ("", partition.name)]
    choices = [(account.name, "") for account in fitting]
    choices += [(account.name, qos) for account in fitting for qos in account.qos]
    yield from list(dict.fromkeys(choices))[:_MOST_CHOICES]


def _refusal(partition: str, *options: str) -> str:
    """Return why Slurm does not take a job; empty where it does."""
    words = (SBATCH, "--test-only", f"--partition={partition}", f"--time={_TRIED_MINUTES}")
    try:
        answer = ask(*words, "--ntasks=1", *options, "--wrap", "true", seconds=QUESTION_SECONDS)
    except SlurmSilent as error:
        return str(error)
    if answer.is_good:
        return ""
    return answer.reason or "no reason was given"


def _requeues(partitions: Iterable[Partition]) -> bool | None:
    """Tell whether Slurm takes a job that is to be requeued."""
    open_to_all = [p for p in partitions if p.is_open and not p.account]
    if not open_to_all:
        return None
    return not _refusal(open_to_all[0].name, "--requeue")


# -- what Slurm's commands say -------------------------------------------------------------------


def read_config(text: str, user: str) -> Survey:
    """Return what `scontrol show config` says of a Slurm as a whole."""
    values = dict(re.findall(r"^(\w+)\s*= (.*)$", text, re.M))
    age = re.match(r"\d+", values.get("MinJobAge", ""))
    parameters = values.get("SelectTypeParameters", "").upper()
    return Survey(
        values.get("ClusterName", ""),
        values.get("SLURM_VERSION", ""),
        user,
        has_accounting=values.get("AccountingStorageType", "").endswith("slurmdbd"),
        demands_account="associations" in values.get("AccountingStorageEnforce", ""),
        counts_memory="MEMORY" in parameters,
        remembers_seconds=int(age[0]) if age else None,
        requeues_by_default=values.get("JobRequeue", "1").strip() != "0",
    )


def read_partitions(rules: str, nodes: str) -> list[Partition]:
    """Return the partitions that this user sees.

    Parameters
    ----------
    rules : str
        What `scontrol --oneliner show partition` says.
    nodes : str
        What `sinfo --exact` says, with a line for each partition and kind of node.
    """
    kinds = _kinds(nodes)
    found = []
    for line in rules.splitlines():
        # A name may hold spaces.
        match = re.match(r"PartitionName=(.+?) (\w+=.*)", line)
        if match is None:
            continue
        # `sinfo` leaves out what is hidden from this user.
        if kinds and match[1] not in kinds:
            continue
        found.append(_partition(match[1], match[2], kinds.get(match[1], ())))
    return found


def _partition(name: str, rest: str, kinds: Sequence[NodeKind]) -> Partition:
    values = dict(re.findall(r"(\S+?)=(\S*)", rest))
    default = next(
        (
            f"{key}={values[key]}"
            for key in ("DefMemPerCPU", "DefMemPerNode", "DefMemPerGPU")
            if values.get(key, "") not in _NONE
        ),
        "",
    )
    most = values.get("MaxMemPerCPU", "")
    return Partition(
        name,
        values.get("Default") == "YES",
        values.get("State") == "UP",
        minutes_of(values.get("MaxTime", "")),
        "EXCLUSIVE" in (values.get("OverSubscribe", ""), values.get("Shared", "")),
        tuple(kinds),
        _names(values.get("AllowAccounts", "ALL")),
        _names(values.get("AllowGroups", "ALL")),
        _names(values.get("AllowQos", "ALL")),
        "" if values.get("QoS", "") in _NONE else values["QoS"],
        default_memory=default,
        most_memory_per_core=int(most) if most.isdigit() and int(most) else None,
    )


def _names(text: str) -> tuple[str, ...]:
    return () if text in ("ALL", *_NONE) else tuple(text.split(","))


def _kinds(text: str) -> dict[str, tuple[NodeKind, ...]]:
    all_nodes: dict[str, Counter[tuple[int, int, str]]] = {}
    usable: dict[str, Counter[tuple[int, int, str]]] = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.split("|")]
        if len(words) != 6:
            continue
        name, cores, memory, gres, state, number = words
        # Some versions mark what differs, even so: 8+.
        kind = (_whole(cores), _whole(memory), gres)
        all_nodes.setdefault(name, Counter())[kind] += _whole(number)
        if not state.lower().startswith(_UNUSABLE):
            usable.setdefault(name, Counter())[kind] += _whole(number)
    return {
        name: tuple(
            NodeKind(*kind[:2], read_gres(kind[2]), number, usable.get(name, Counter())[kind])
            for kind, number in counted.items()
            if number
        )
        for name, counted in all_nodes.items()
    }


def read_gres(text: str) -> tuple[Gpus, ...]:
    """Return the GPUs in a list of generic resources, as ``gpu:v100:4(S:0-1),nvme:1``."""
    counts: Counter[str] = Counter()
    for kind, number in re.findall(r"\bgpu:(?:([^:,()]+):)?(?:no_consume:)?(\d+)", text):
        counts[kind] += int(number)
    return tuple(Gpus(kind, number) for kind, number in counts.items() if number)


def read_accounts(text: str) -> tuple[Account, ...]:
    """Return the accounts that `sacctmgr show associations` lists, each once a partition."""
    found = []
    for row in _rows(text, _ASSOCIATION_FIELDS):
        limits = [int(row[name]) for name in ("MaxSubmit",) if row[name].isdigit()]
        found.append(
            Account(
                row["Account"],
                row["Partition"],
                _names(row["QOS"]),
                row["DefaultQOS"] or (row["QOS"] if "," not in row["QOS"] else ""),
                min(limits, default=None),
            )
        )
    return tuple(dict.fromkeys(found))


def read_qos(text: str) -> tuple[Qos, ...]:
    """Return the qualities of service that `sacctmgr show qos` lists."""
    return tuple(
        Qos(
            row["Name"],
            minutes_of(row["MaxWall"]),
            int(row["MaxSubmitPU"]) if row["MaxSubmitPU"].isdigit() else None,
        )
        for row in _rows(text, _QOS_FIELDS)
    )


def _rows(text: str, fields: Sequence[str]) -> list[Mapping[str, str]]:
    rows = [[word.strip() for word in line.split("|")] for line in text.splitlines()]
    return [dict(zip(fields, row, strict=True)) for row in rows if len(row) == len(fields)]


def _whole(text: str) -> int:
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0

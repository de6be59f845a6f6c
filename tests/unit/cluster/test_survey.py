"""What Slurm says of itself, in several versions and at several kinds of sites, and what follows.

The answers have the form of real ones: the first is that of a Slurm 22.05 on Debian, the others
follow what sites of Slurm 23.11 to 25.05 publish in their guides and in reports of faults.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from environments import programs

from gridfold.cli.main import main
from gridfold.cluster.commands import SlurmSilent
from gridfold.cluster.site_profile import NoPartition, SiteProfile, quoted, survey_lines
from gridfold.cluster.slurm import minutes_of
from gridfold.cluster.survey import Gpus, Survey, read_gres, survey

UP = "if [ $1 = ping ]; then echo 'Slurmctld(primary) at head is UP'; exit; fi\n"
TAKEN = "echo 'sbatch: Job 7 to start at 2026-12-01T15:51:14 using 1 processors on nodes n1' >&2"
LIMITS = "MaxNodes=UNLIMITED {} MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED"
SHARED = "PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO"


def slurm(
    folder: Path,
    *,
    config: str,
    partitions: list[str],
    nodes: list[str],
    sbatch: str = TAKEN,
    sacctmgr: str = "echo 'You are not running a supported accounting_storage plugin' >&2; exit 1",
) -> Path:
    """Put a Slurm's commands into a folder, which answer with what was recorded."""
    for name, text in {
        "config": config,
        "partitions": "\n".join(partitions),
        "nodes": "\n".join(nodes),
    }.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.txt").write_text(f"{text}\n")
    return programs(
        folder,
        scontrol=f'{UP}case "$*" in *config*) cat {folder}/config.txt;; '
        f"*) cat {folder}/partitions.txt;; esac",
        sinfo=f"cat {folder}/nodes.txt",
        sbatch=sbatch,
        sacctmgr=sacctmgr,
    )


def small(folder: Path) -> Path:
    """Return a cluster of a department: 22.05, no accounting, names that mean something else."""

    def partition(name: str, limit: str, default: str = "NO") -> str:
        return (
            f"PartitionName={name} AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL "
            f"Default={default} QoS=N/A DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO "
            f"GraceTime=0 Hidden=NO {LIMITS.format(limit)} Nodes=n[1-3] {SHARED} "
            "OverTimeLimit=NONE PreemptMode=OFF State=UP TotalCPUs=16 TotalNodes=3 "
            "SelectTypeParameters=NONE JobDefaults=(null) DefMemPerCPU=1024 MaxMemPerNode=UNLIMITED"
        )

    return slurm(
        folder,
        config="ClusterName             = small\n"
        "AccountingStorageEnforce = none\n"
        "AccountingStorageType   = accounting_storage/none\n"
        "JobRequeue              = 0\n"
        "MinJobAge               = 2 sec\n"
        "SelectTypeParameters    = CR_CORE_MEMORY\n"
        "SLURM_VERSION           = 22.05.8",
        partitions=[
            partition("cpu-24h", "MaxTime=1-00:00:00"),
            partition("int", "MaxTime=00:30:00", "YES"),
            partition("24-48", "MaxTime=2-00:00:00"),
        ],
        nodes=[
            f"{name}|{kind}"
            for name in ("cpu-24h", "int", "24-48")
            for kind in ("4|10000|(null)|idle|2", "8|20000|(null)|mixed|1")
        ],
    )


def large(folder: Path) -> Path:
    """Return a national centre: 23.11, accounts, QOS, parts of GPUs, memory bound to cores."""

    def partition(name: str, accounts: str, rest: str = "", state: str = "UP") -> str:
        return (
            f"PartitionName={name} AllowGroups=ALL AllowAccounts={accounts} AllowQos=normal,high "
            "AllocNodes=login[1-4] Default=NO QoS=N/A DefaultTime=03:00:00 DisableRootJobs=NO "
            "ExclusiveUser=NO ExclusiveTopo=NO GraceTime=0 Hidden=NO "
            f"{LIMITS.format('MaxTime=21-00:00:00')} MaxCPUsPerSocket=UNLIMITED Nodes=n[339-381] "
            f"{SHARED} OverTimeLimit=NONE PreemptMode=OFF State={state} TotalCPUs=2236 "
            f"TotalNodes=43 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerCPU=2500{rest} "
            "TRES=cpu=2236,mem=7998000M,node=43,billing=2236 TRESBillingWeights=CPU=1.0,Mem=0"
        )

    return slurm(
        folder,
        config="ClusterName             = centre\n"
        "AccountingStorageEnforce = associations,limits,qos,safe\n"
        "AccountingStorageType   = accounting_storage/slurmdbd\n"
        "JobRequeue              = 1\n"
        "MinJobAge               = 300 sec\n"
        "SelectTypeParameters    = CR_CORE_MEMORY,CR_CORE_DEFAULT_DIST_BLOCK\n"
        "SLURM_VERSION           = 23.11.6",
        partitions=[
            partition("00123", "ALL", " MaxMemPerCPU=4000"),
            partition("a100", "def-b"),
            partition("closed", "someone"),
            partition("old", "ALL", state="DOWN"),
            partition("hidden", "ALL"),
        ],
        nodes=[
            "00123|52|190000|(null)|idle|40",
            "00123|52|190000|(null)|down*|3",
            "00123|192|1500000|(null)|mixed|2",
            "a100|64|500000|gpu:nvidia_a100_1g.5gb:7(S:0),gpu:a100:2(S:1),nvme:1|allocated|4",
            "closed|64|500000|gpu:h100:4(S:0-1)|idle|4",
            "old|16|64000|(null)|idle|4",
        ],
        sbatch='case "$*" in *a100*--account=def-b*) exit 0;; *closed*|*a100*) '
        "echo 'allocation failure: Invalid account or account/partition combination specified' "
        ">&2; exit 1;; *--requeue*) echo 'sbatch: error: no --requeue here' >&2; exit 1;; esac",
        sacctmgr='case "$*" in *associations*) echo "def-a||normal|normal|50|200"; '
        'echo "def-b||high,normal|normal||";; *qos*) echo "normal|7-00:00:00|40|"; '
        'echo "high|1-00:00:00||";; *) echo def-a;; esac',
    )


def whole(folder: Path) -> Path:
    """Return a centre that gives whole nodes, and refuses `--mem`; 25.05."""
    return slurm(
        folder,
        config="ClusterName             = peak\n"
        "AccountingStorageType   = accounting_storage/slurmdbd\n"
        "MinJobAge               = 300 sec\n"
        "SelectType              = select/linear\n"
        "SelectTypeParameters    = NONE\n"
        "SLURM_VERSION           = 25.05.5",
        partitions=[
            "PartitionName=CPU nodes (amd) AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL "
            f"Default=YES QoS=p_cpu {LIMITS.format('MaxTime=UNLIMITED')} "
            "RootOnly=NO OverSubscribe=EXCLUSIVE State=UP DefMemPerNode=UNLIMITED"
        ],
        nodes=["CPU nodes (amd)|128|1|(null)|idle~|100"],
        sbatch='case "$*" in *--mem*) echo "sbatch: error: --mem is not allowed here" >&2; '
        "exit 1;; esac",
        sacctmgr="sleep 60",
    )


def delicate(folder: Path) -> Path:
    """Return a site that wants memory by core and a QOS; its partition limits jobs and time."""
    return slurm(
        folder,
        config="ClusterName             = delta\n"
        "AccountingStorageType   = accounting_storage/slurmdbd\n"
        "MinJobAge               = 10 sec\n"
        "SelectTypeParameters    = CR_CPU_MEMORY\n"
        "SLURM_VERSION           = 24.05.4",
        partitions=[
            "PartitionName=all AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL "
            f"Default=YES QoS=part_all {LIMITS.format('MaxTime=UNLIMITED')} {SHARED} State=UP "
            "DefMemPerCPU=1024 MaxMemPerCPU=3968"
        ],
        nodes=["all|48+|190464+|(null)|mixed|218"],
        sbatch='case "$*" in *--mem=*) echo "sbatch: error: use --mem-per-cpu" >&2; exit 1;; '
        '*--qos=medium*) exit 0;; *) echo "sbatch: error: Please specify a QOS" >&2; exit 1;; esac',
        sacctmgr='case "$*" in *associations*) echo "lab||long,medium||10|" ;; *qos*) '
        'echo "long|30-00:00:00||"; echo "medium|2-00:00:00||30"; '
        'echo "part_all|5-00:00:00|10|";; *) echo lab;; esac',
    )


def test_a_site_that_wants_memory_by_core_and_a_quality_of_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(delicate(tmp_path), monkeypatch)
    (partition,) = found.partitions
    assert (partition.account, partition.named_qos) == ("lab", "medium")
    assert (partition.takes_memory, partition.takes_memory_per_core) == (False, True)
    # Of the quality of service that is named, and of the partition's own.
    assert (found.limit(partition), found.most_jobs(partition)) == (2880, 10)
    entries = yaml.safe_load(str(SiteProfile.of(found)))
    assert entries["default-resources"] == {
        "slurm_partition": "'all'",
        "slurm_account": "'lab'",
        "qos": "'medium'",
        "mem_mb_per_cpu": 3968,
        "slurm_extra": "'--signal=USR1@120'",
    }
    assert entries["resources"] == {"mem_mb": 0, "runtime": 2880}
    assert (entries["jobs"], entries["max-threads"]) == (8, 48)
    # `squeue` forgets a job before it is asked about again.
    assert entries["slurm-status-command"] == "sacct"


def asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Survey:
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return survey()


def test_a_small_cluster_without_accounting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(small(tmp_path), monkeypatch)
    assert (found.has_accounting, found.remembers_seconds, found.requeues) == (False, 2, True)
    assert not found.requeues_by_default
    assert [(p.name, p.minutes, p.usual.cores) for p in found.partitions] == [
        ("cpu-24h", 1440, 4),
        ("int", 30, 4),
        ("24-48", 2880, 4),
    ]
    profile = SiteProfile.of(found)
    # The default one is for short tries.
    assert profile.partition.name == "24-48"
    entries = yaml.safe_load(str(profile))
    assert entries["resources"] == {"mem_mb": 10000, "runtime": 2880}
    assert entries["max-threads"] == entries["set-threads"]["train"] == 4
    assert entries["default-resources"]["slurm_partition"] == "'24-48'"
    assert "slurm_account" not in entries["default-resources"]
    said = "\n".join(survey_lines(found))
    assert "2 nodes of 4 cores, 10000 MB; 1 nodes of 8 cores, 20000 MB; DefMemPerCPU=1024" in said
    assert "squeue knows a job 2 s after its end" in said


def test_a_centre_with_accounts_limits_and_parts_of_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(large(tmp_path), monkeypatch)
    by_name = {partition.name: partition for partition in found.partitions}
    # `sinfo` does not show what is hidden from this user.
    assert set(by_name) == {"00123", "a100", "closed", "old"}
    assert {name for name, p in by_name.items() if p.is_open} == {"00123", "a100"}
    assert by_name["a100"].account == "def-b"
    assert "Invalid account" in by_name["closed"].refusal
    usual = by_name["00123"].usual
    assert (usual.cores, usual.nodes, usual.usable) == (52, 43, 40)
    # The quality of service allows less time than the partition, and fewer jobs than the account.
    assert (found.limit(by_name["00123"]), found.most_jobs(by_name["00123"])) == (7 * 1440, 40)
    assert found.requeues is False
    profile = SiteProfile.of(found)
    text, entries = str(profile), yaml.safe_load(str(profile))
    assert entries["jobs"] == 32
    assert entries["resources"] == {"mem_mb": 190000, "runtime": 10080}
    assert entries["slurm-requeue"] is False
    assert entries["default-resources"]["slurm_account"] == "'def-a'"
    assert entries["default-resources"]["slurm_partition"] == "'00123'"
    # What is proposed for GPUs holds when its signs of comment are taken away.
    begin = text.index("# set-resources:")
    gpus = yaml.safe_load(text[begin:].replace("# ", "", 1).replace("\n# ", "\n"))
    wanted = {"slurm_partition": "'a100'", "gres": "'gpu:nvidia_a100_1g.5gb:1'"}
    assert gpus["set-resources"]["train"] == wanted | {"slurm_account": "'def-b'"}
    assert "parts of GPUs (MIG)" in "\n".join(survey_lines(found))


def test_a_site_of_whole_nodes_that_refuses_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridfold.cluster.survey.QUESTION_SECONDS", 0.5)
    found = asked(whole(tmp_path), monkeypatch)
    assert not found.counts_memory
    assert any("timed out" in question for question in found.silent)
    profile = SiteProfile.of(found)
    entries = yaml.safe_load(str(profile))
    # Snakemake cuts what jobs ask for to 0, and then asks sbatch for none.
    assert entries["resources"] == {"mem_mb": 0}
    assert entries["set-threads"]["train"] == 128
    assert entries["default-resources"]["slurm_partition"] == "'CPU nodes (amd)'"
    said = "\n".join(survey_lines(found))
    assert "refuses jobs that ask for memory" in said
    assert "not shared out" in said


@pytest.mark.parametrize(
    ("scontrol", "message"),
    [
        ("echo 'Slurmctld(primary) at head is DOWN'; exit 1", "no controller is up"),
        ("exec sleep 60", "no controller is up"),
        (None, "No such file"),
    ],
)
def test_a_silent_slurm_is_said_at_once(
    scontrol: str | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("gridfold.cluster.survey.QUESTION_SECONDS", 0.4)
    folder = programs(tmp_path / "bin", **({"scontrol": scontrol} if scontrol else {}))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin" if scontrol else str(folder))
    with pytest.raises(SlurmSilent, match=message):
        survey()
    assert main(["doctor", "--slurm"]) == 1
    assert "Slurm does not answer" in capsys.readouterr().err


def test_a_slurm_that_takes_no_job_is_no_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small(tmp_path)
    programs(folder, sbatch="echo 'sbatch: error: You must specify an account!' >&2; exit 1")
    with pytest.raises(NoPartition, match="24-48: You must specify an account!"):
        SiteProfile.of(asked(folder, monkeypatch))


def test_a_profile_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{small(tmp_path / 'bin')}:/usr/bin:/bin")
    file = tmp_path / "mysite" / "config.yaml"
    assert main(["doctor", "--slurm", "--write", str(file.parent)]) == 0
    assert f"Written: {file}" in capsys.readouterr().out
    file.write_text("mine")
    assert main(["doctor", "--slurm", "--write", str(file.parent)]) == 1
    assert "exists and is left as it is" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert main(["doctor", "--write", str(file.parent)]) == 2
    assert main(["doctor", "--slurm", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["slurm"]["cluster"] == "small"
    assert yaml.safe_load(found["profile"])["executor"] == "slurm"


@pytest.mark.parametrize("name", ["24-48", "00123", "int", "it's", 'a"b', "x y"])
def test_quotes_inside_of_quotes_keep_a_name(name: str) -> None:
    assert eval(yaml.safe_load(f"key: {quoted(name)}")["key"]) == name


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("2-00:00:00", 2880),
        ("7-00", 10080),
        ("1-12:30", 2190),
        ("00:30:00", 30),
        ("60", 60),
        ("30:15", 30),
        ("UNLIMITED", None),
        ("INFINITE", None),
        ("", None),
    ],
)
def test_time_limits_are_read_in_every_form(text: str, minutes: int | None) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("(null)", []),
        ("gpu:4", [("", 4)]),
        ("gpu:v100:4(S:0-1),nvme:1", [("v100", 4)]),
        ("gpu:tesla:2(S:0),gpu:kepler:2(S:1),gpu:tesla:1", [("tesla", 3), ("kepler", 2)]),
        ("gpu:a100:no_consume:4", [("a100", 4)]),
        ("craynetwork:4,shard:gpu0:2", []),
    ],
)
def test_gpus_of_nodes_are_counted_by_type(text: str, gpus: list[tuple[str, int]]) -> None:
    assert list(read_gres(text)) == [Gpus(*gpu) for gpu in gpus]

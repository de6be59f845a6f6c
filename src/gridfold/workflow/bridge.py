"""Connects Snakemake's workflow object with the plan, while the Snakefile is parsed."""

from __future__ import annotations

import contextlib
import gc
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from snakemake.deployment.singularity import Singularity, shellcmd
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from gridfold.advice import advice_in_log
from gridfold.cluster.placement import Site
from gridfold.errors import GridfoldError, NotWritten, Problem, StudyError
from gridfold.jobs.fork_server import SharedServer
from gridfold.paths import DEFAULT_RESULTS, DEFAULT_STUDY
from gridfold.plan import snapshot
from gridfold.plan.budget_words import budget_lines
from gridfold.plan.files import read_files
from gridfold.plan.plan import Plan
from gridfold.plan.status import (
    answer,
    change_notice,
    changes,
    counts,
    finished_shards,
    most_trials,
    stop_notice,
)
from gridfold.plan.words import description
from gridfold.store import archives
from gridfold.store.progress import Monitor
from gridfold.study.yaml_file import typed
from gridfold.terminal import say
from gridfold.typed_json import DamagedRecord
from gridfold.usercode import sources
from gridfold.wording import counted, listed
from gridfold.workflow import earlier_run, rules, run_lock
from gridfold.workflow.site_names import refuse_evaluated_names
from gridfold.workflow_files import workflow_files

# What a Snakefile may say to gridfold beside the study itself.
_STUDY_FILES, _RESULTS = "study_files", "results"
# What a Snakemake tells those that it starts: where its snapshots are.
_SNAPSHOTS = "snapshots"
_NOT_OF_THE_STUDY = (_STUDY_FILES, _RESULTS, _SNAPSHOTS)
# The snapshots of this process, one for each study; a Snakefile may have several.
_TAKEN: list[Path] = []
# Rules whose cores, where a profile sets them, bound those of other rules that could use several.
_TRAINING_RULES = ("train", "train_rungs", "tune")
# Rules whose jobs fork what needs TensorFlow.
_FORKING_RULES = frozenset(
    {"train", "train_rungs", "tune", "fit_final", "fit_ensemble", "train_permuted"}
)


def load_plan(workflow: Any, config: Mapping[str, Any]) -> Plan:
    """Return the plan of the study that Snakemake was started with, or that a module was given.

    A dry run prints the plan. A study that can't be run ends Snakemake with its problems and
    without a traceback.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    config : mapping
        Snakemake's `config` as the rules see it. In a module it may name the files of a study
        (``study_files``) and the folder of all results (``results``); other keys are values of the
        study over those of the files.
    """
    settings = workflow.config_settings
    if workflow.is_main_process:
        # It may have been started by a job of another one.
        sources.use(_TAKEN)
    elif _SNAPSHOTS in settings.config:
        sources.use(map(Path, settings.config[_SNAPSHOTS]))
    files, overrides, results = _sources(settings, config)
    try:
        _refuse_moved_paths(workflow)
        if workflow.is_main_process:
            refuse_evaluated_names(workflow)
        with _staying():
            if not workflow.is_main_process:
                return snapshot.plan_of(files, overrides, results)
            plan = Plan.load(files, overrides, results)
        if earlier_run.runs_jobs(workflow) and not workflow.output_settings.dryrun:
            _hold_run(plan)
            if run_lock.wait_for_jobs(workflow, plan.paths):
                # With what they have made meanwhile.
                plan = Plan.load(files, overrides, results)
            run_lock.note_jobs(workflow, plan.paths)
            plan = _as_jobs_see_it(plan, settings)
    except GridfoldError as error:
        sys.exit(str(error))
    if workflow.output_settings.dryrun:
        print(description(plan, available_cores(workflow)), file=sys.stderr)
        if notice := change_notice(changes(plan)):
            print(f"  {notice}", file=sys.stderr)
    return plan


@contextlib.contextmanager
def _staying() -> Iterator[None]:
    """Make objects that stay as long as the process: nobody looks for garbage among them.

    Of a study of 100,000 trials there are millions, and each look takes a tenth of a second.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_on:
            gc.enable()


def _hold_run(plan: Plan) -> None:
    """Hold the lock of the study until this process ends."""
    with _writing_results(plan):
        try:
            run_lock.hold(plan.paths)
        except NotWritten as error:
            raise (error.__cause__ or error) from None


@contextlib.contextmanager
def _writing_results(plan: Plan) -> Iterator[None]:
    """Tell why nothing was run where the folder of results can't be written."""
    try:
        yield
    except PermissionError as error:
        raise GridfoldError(
            f"{error.filename}: {error.strerror}; nothing was run. Results that several people "
            "work on lie in a folder of their group, with `chmod g+ws`, and each of them has set "
            "`umask 002`; results of your own go elsewhere with `--config results=FOLDER`"
        ) from None
    except OSError as error:
        where = error.filename or plan.paths.root
        raise GridfoldError(f"{where}: {error.strerror}; nothing was run") from None


def _as_jobs_see_it(plan: Plan, settings: Any) -> Plan:
    """Take a snapshot of what is about to run, and tell the jobs where it is.

    Those on this machine learn it from their environment. On a cluster each is a Snakemake that is
    given the values and study files of this one; a site may keep the environment from it.
    """
    with _writing_results(plan):
        plan, folder = snapshot.take(plan)
    _TAKEN.append(folder)
    sources.use(_TAKEN)
    others = [w for w in settings.config_args or [] if not w.startswith(f"{_SNAPSHOTS}=")]
    value = json.dumps([*map(str, sources.folders())])
    settings.config_args = [*others, f"{_SNAPSHOTS}={value}"]
    settings.configfiles = [*map(sources.readable, settings.configfiles)]
    return plan


def _sources(settings: Any, config: Mapping[str, Any]) -> tuple[list[Path], dict[str, Any], Path]:
    """Return study files, values over theirs, and the folder of all results.

    Files of the command line are read by gridfold itself; the mapping that Snakemake makes of them
    has lost their lines and duplicate keys.
    """
    named = config.get(_STUDY_FILES, [])
    results = Path(config.get(_RESULTS, DEFAULT_RESULTS))
    values, typed_in, said = (
        {key: value for key, value in mapping.items() if key not in _NOT_OF_THE_STUDY}
        for mapping in (config, settings.overwrite_config, settings.config)
    )
    given = [_as_typed(file) for file in settings.configfiles]
    if given and (values == typed_in or not (values or named)):
        return given, typed(said), results
    if named:
        files = [named] if isinstance(named, str | Path) else named
        return [Path(file) for file in files], typed(values), results
    if values != typed_in and values:
        return [], typed(values), results
    return [Path(DEFAULT_STUDY)], typed(said), results


def _refuse_moved_paths(workflow: Any) -> None:
    """Refuse a module's `prefix`: what is not declared to Snakemake would lie elsewhere."""
    if workflow.modifier.modify_path(DEFAULT_RESULTS) != DEFAULT_RESULTS:
        raise StudyError(
            "the Snakefile's module statement",
            [
                Problem(
                    ("prefix",),
                    "moves declared files only, not checkpoints and records",
                    'allowed: no prefix; `config: {"study_files": [...], "results": "folder"}`',
                )
            ],
        )


def scripts_folder(workflow: Any) -> Path:
    """Return the folder of the scripts that belong to the rules which are being read."""
    here = workflow.current_basedir
    # Rules of a repository on the web have no folder here, but the installed package has one.
    root = Path(here).parent if isinstance(here, str) else workflow_files()
    return root / "workflow" / "scripts"


def _as_typed(file: Path) -> Path:
    """Undo Snakemake's absolute paths, so that reports name files as on any other machine."""
    file = sources.original(file)
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def greet(workflow: Any, plan: Plan, *, is_outdated: bool) -> None:
    """Say what is known already; where nothing is left to do, this is all that a run says.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    plan : Plan
    is_outdated : bool
        Whether some files were made for another version of this study,
        :func:`gridfold.workflow.earlier_run.drop_outdated`.
    """
    if not earlier_run.runs_jobs(workflow) or workflow.output_settings.dryrun:
        return
    (done, total), notice = counts(plan), change_notice(changes(plan))
    text = (
        f"study {plan.study.study}: {len(plan.configurations)} configurations, "
        f"{done} of {total} trials done before"
    )
    say("; ".join(filter(None, [text, notice])))
    if done == total and not notice and not is_outdated:
        say_answer(plan, "Found before: ")


def say_answer(plan: Plan, before: str = "") -> None:
    """Print the answer of a study, if it is complete; a run may have been asked for a part."""
    # A damaged record is made again before anything is said, and a dry run says which it is.
    with contextlib.suppress(FileNotFoundError, DamagedRecord):
        print(f"{before}{answer(plan.paths)}", file=sys.stderr)
        if notice := stop_notice(plan):
            print(notice, file=sys.stderr)


def take_records_out(plan: Plan) -> None:
    """Take the run store out of its archives, if `gridfold pack` has put it there."""
    if count := archives.unpack(plan.paths):
        say(f"took the records of {counted(count, 'configuration')} out of {plan.paths.packed}")


def say_budget(plan: Plan) -> None:
    """Say what of the budget of the search is spent, and whether it has ended the search."""
    for line in budget_lines(plan):
        say(line)


def say_what_has_changed(plan: Plan) -> None:
    """Say which files of the study have been changed since the run began."""
    if changed := [] if plan.snapshot is None else snapshot.changed_files(plan):
        say(
            f"changed while this run was going: {listed(changed)}. It used what was there when it "
            "began; start the same command again to follow."
        )


def say_what_is_left(plan: Plan) -> None:
    """Say, after jobs have failed in all their attempts, what is kept and how it goes on."""
    (done, total), retries = counts(plan), plan.study.execution.retries
    if not (plan.paths.manifest.exists() and plan.paths.splits.exists()):
        # Only training jobs have attempts, and Snakemake has deleted what a failed job left.
        say(
            "stopped before the first trial: the data could not be read or split. What is wrong is "
            "said above; once it is mended, the same command goes on."
        )
    elif done < total:
        say(
            f"stopped with {done} of {total} trials done. A training job "
            f"gets {retries + 1} attempts (execution.retries: {retries}); each goes on where the "
            "last one was, and so does the same command now: trials keep their checkpoints. Where "
            "jobs reached their time limit, raise execution.retries or the resource runtime first."
        )


def say_advice(logs: str | Iterable[str]) -> None:
    """Say what to do about what Slurm has said in Snakemake's own logs of a run that failed."""
    text = ""
    # Older versions of Snakemake hand over one path.
    for file in [logs] if isinstance(logs, str) else logs:
        with contextlib.suppress(OSError):
            text += Path(file).read_text(encoding="utf-8", errors="replace")
    for line in advice_in_log(text):
        say(line)


def study_arguments(plan: Plan) -> str:
    """Return the options that tell a command which study it works for, quoted for a shell."""
    options = ["--study", *map(str, plan.files), "--results", str(plan.paths.root.parent)]
    if plan.overrides:
        options += ["--set", json.dumps(plan.overrides)]
    # Braces would be taken for Snakemake's own.
    return shlex.join(options).replace("{", "{{").replace("}", "}}")


def uses_container(workflow: Any) -> bool:
    """Return whether jobs run in the container, ``--sdm apptainer``."""
    return DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def container_command(workflow: Any, image: str) -> str:
    """Return the command that runs another one in the container; empty where jobs run in none.

    For rules that start containers themselves, on several nodes.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    image : str
        Path of the image.

    Raises
    ------
    snakemake.exceptions.WorkflowError
        Without an engine for containers.
    """
    if not uses_container(workflow):
        return ""
    Singularity().check()
    arguments = workflow.deployment_settings.apptainer_args
    # As for every other rule; the words that follow become those of the shell.
    command: str = shellcmd(image, 'exec "$@"', args=arguments, shell_executable="bash")
    return f"{command.strip()} bash"


def interpreter(workflow: Any) -> str:
    """Return the Python of rules that run a command: this one, or that of the container."""
    return "python" if uses_container(workflow) else sys.executable


def bind_into_container(workflow: Any, plan: Plan) -> None:
    """Let jobs in a container see the folders outside the working directory that they read.

    Snakemake binds the working directory; the rules, the study, its data and the user's code may
    lie elsewhere.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    plan : Plan
    """
    if not uses_container(workflow):
        return
    rules = scripts_folder(workflow).parent.parent
    files = [*plan.files, *read_files(plan.study)]
    folders = {rules, *(file.absolute().parent for file in files)}
    settings = workflow.deployment_settings
    for folder in sorted(folders):
        option = f"--bind {shlex.quote(str(folder))}"
        # In a job on a cluster it is there already.
        if not folder.is_relative_to(Path.cwd()) and option not in settings.apptainer_args:
            settings.apptainer_args += f" {option}"


def available_cores(workflow: Any) -> int | None:
    """Return the number of ``--cores``; None on a cluster, where it says nothing about a job.

    There every Snakemake that reads the rules, on the login node and inside a job, must come to the
    same number, or a job would ask for other threads than it was given.
    """
    if workflow.remote_exec or workflow.nodes is not None:
        return None
    try:
        return int(workflow.cores)
    except WorkflowError:
        return None


def cores_of_a_job(workflow: Any, cores: int | None) -> int | None:
    """Return how many cores a job may ask for: this machine's, or those of training on a site.

    None where neither is known.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    cores : int, optional
        Those of this machine, see `available_cores`.
    """
    if cores is not None:
        return cores
    said = workflow.resource_settings.overwrite_threads
    names = (workflow.modifier.modify_rulename(rule) for rule in _TRAINING_RULES)
    given = [_raw(said[name]) for name in names if name in said]
    return min((int(number) for number in given if str(number).isdigit()), default=None)


def keep_jobs_of_slurm(workflow: Any) -> None:
    """Let no job be forgotten when Slurm does not answer (:mod:`gridfold.cluster.executor`)."""
    if workflow.is_main_process and workflow.nodes is not None:
        # Only here: the plugin, which Snakemake has imported by now, brings pandas.
        from gridfold.cluster import executor

        executor.use()


def site(workflow: Any, rule: str) -> Site:
    """Return what the profile says about the nodes that a rule's jobs run on.

    Resources of a rule can't be computed from each other, so what `set-resources` says is read
    from where Snakemake keeps it; Snakemakes inside jobs are told the same.
    """
    # In a module that is used `as a_*`, the profile knows the rule by its new name.
    name = workflow.modifier.modify_rulename(rule)
    said = workflow.resource_settings.overwrite_resources.get(name, {})
    return Site.of({name: _raw(value) for name, value in said.items()})


def _raw(value: Any) -> Any:
    """Return what was written in a profile; an expression has no value yet."""
    return getattr(value, "raw", value)


def start_forks_soon(
    workflow: Any, plan: Plan, training: SharedServer, tables: SharedServer
) -> None:
    """Start the fork servers of a study without a report while Snakemake reads the rules.

    Their imports last longer than all that comes before the first job. Whether jobs will want them
    turns out when that begins: :func:`start_forks`.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    plan : Plan
    training, tables : SharedServer
    """
    is_run = earlier_run.runs_jobs(workflow) and not workflow.output_settings.dryrun
    if is_run and not plan.paths.report.exists() and _jobs_fork(workflow):
        training.start(plan.threads(available_cores(workflow)))
        tables.start(threads=1)


def start_forks(workflow: Any, training: SharedServer, tables: SharedServer, threads: int) -> None:
    """Start the fork servers of a run whose jobs are on this machine, if they will be wanted.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    training, tables : SharedServer
    threads : int
        CPU cores of a training job.
    """
    if not _jobs_fork(workflow):
        return
    names = [job.rule.name for job in workflow.dag.needrun_jobs()]
    if any(_is_one_of(_FORKING_RULES, name) for name in names):
        training.start(threads)
    else:
        training.cancel()
    # One job would not be sooner done.
    if sum(_is_one_of(rules.NAMES, name) for name in names) > 1:
        tables.start(threads=1)
    else:
        tables.cancel()


def _jobs_fork(workflow: Any) -> bool:
    """Tell whether jobs are on this machine, with the software of this process.

    Those in a container, or with software of another environment, have a TensorFlow of their own.
    """
    is_here = available_cores(workflow) is not None
    return is_here and not workflow.deployment_settings.deployment_method


def _is_one_of(own: Iterable[str], name: str) -> bool:
    """Tell whether a rule is one of these; in a module its name may have got a prefix."""
    return any(name == each or name.endswith(f"_{each}") for each in own)


def monitor(plan: Plan) -> Monitor:
    """Return the progress monitor of a plan."""
    labels = {c.id: c.label for c in plan.configurations}
    return Monitor(
        plan.paths.progress, plan.training_jobs, most_trials(plan), finished_shards(plan), labels
    )

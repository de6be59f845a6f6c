"""Where everything of a study lies: the one place that knows the layout of `results/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Relative to the project, as all paths of a study are.
DEFAULT_STUDY = "config/demo.yaml"
DEFAULT_RESULTS = "results"

# What is prepared of the data, each in a file of its own; what a study doesn't have is empty.
ARRAYS = ("features", "targets", "groups", "weights", "ids", "spans", "starts")


@dataclass(frozen=True)
class FinalModelPaths:
    """The files of a final model, which may have been copied away from their study.

    Attributes
    ----------
    folder : Path
        ``results/<study>/final``, or the copy of it.
    """

    folder: Path

    @property
    def model(self) -> Path:
        """Network and scaling, as Keras saves them."""
        return self.folder / "model.keras"

    @property
    def preprocessing(self) -> Path:
        """What is done to raw samples before the model."""
        return self.folder / "preprocessing.json"

    @property
    def card(self) -> Path:
        """The model card for programs (:class:`gridfold.store.model_card.ModelCard`)."""
        return self.folder / "card.json"

    @property
    def card_text(self) -> Path:
        """The model card for people."""
        return self.folder / "card.md"

    @property
    def test_predictions(self) -> Path:
        """What the model says about the held-out test set."""
        return self.folder / "test_predictions.parquet"

    @property
    def inside(self) -> Path:
        """Layers, filters and activations, for figures."""
        return self.folder / "inside.npz"

    @property
    def importance(self) -> Path:
        """What each feature of a table is worth to the model."""
        return self.folder / "importance.parquet"

    @property
    def training(self) -> Path:
        """What `train_final` did: whether it trained the model on several processes or devices."""
        return self.folder / "trained.json"

    @property
    def ensemble(self) -> Path:
        """Members and test score of the ensemble."""
        return self.folder / "ensemble.json"

    def member(self, split: str) -> Path:
        """Return where the ensemble's model of a split lies."""
        return self.folder / "ensemble" / f"{split}.keras"

    def member_preprocessing(self, split: str) -> Path:
        """Return where the preprocessing of the ensemble's model of a split lies."""
        return self.member(split).with_suffix(".json")


@dataclass(frozen=True)
class ControllerPaths:
    """The files by which a run of a study is found, looked at and ended from anywhere.

    None of them is declared to Snakemake.

    Attributes
    ----------
    folder : Path
        ``results/<study>/controller``.
    """

    folder: Path

    @property
    def lock(self) -> Path:
        """Who runs the study now (:class:`gridfold.store.locks.RunLock`)."""
        return self.folder / "run.lock"

    @property
    def supervisor(self) -> Path:
        """Who keeps it alive without Slurm (:class:`gridfold.store.locks.RunLock`)."""
        return self.folder / "supervisor.lock"

    @property
    def slurm_runs(self) -> Path:
        """Names that the jobs of this study have in Slurm's queue, a line for each Snakemake."""
        return self.folder / "slurm-runs"

    @property
    def submission(self) -> Path:
        """What was submitted (:class:`gridfold.store.submission.Submission`)."""
        return self.folder / "submission.json"

    @property
    def successor(self) -> Path:
        """Number of the Slurm job that goes on where requeueing is forbidden."""
        return self.folder / "successor"

    @property
    def outcome(self) -> Path:
        """How it has ended (:class:`gridfold.store.submission.Outcome`)."""
        return self.folder / "outcome.json"

    @property
    def stop(self) -> Path:
        """Is there once somebody has asked it to stop."""
        return self.folder / "stop"

    @property
    def script(self) -> Path:
        """What Slurm runs."""
        return self.folder / "controller.sh"

    @property
    def output(self) -> Path:
        """All that it has said."""
        return self.folder / "output.log"


@dataclass(frozen=True)
class StudyPaths:
    """The files of one study.

    Attributes
    ----------
    root : Path
        ``results/<study>``.
    """

    root: Path

    @classmethod
    def of(cls, study: str, results: Path | str = "results") -> StudyPaths:
        """Return the paths of the study of that name."""
        return cls(Path(results) / study)

    @property
    def data(self) -> Path:
        """Folder of the prepared arrays."""
        return self.root / "data"

    @property
    def manifest(self) -> Path:
        """What the prepared arrays are (:class:`gridfold.data.manifest.Manifest`)."""
        return manifest_file(self.data)

    @property
    def description(self) -> Path:
        """What the data are (:class:`gridfold.data.description.DataDescription`)."""
        return description_file(self.data)

    def array(self, name: str) -> Path:
        """Return where one of the prepared :data:`ARRAYS` lies."""
        return array_file(self.data, name)

    @property
    def source_digests(self) -> Path:
        """Digests of the data files as they were read last; can be lost."""
        return self.root / "sources.json"

    @property
    def splits(self) -> Path:
        """The splits and the held-out test set."""
        return self.root / "splits.npz"

    @property
    def audit(self) -> Path:
        """What is wrong with data and splits (:class:`gridfold.audit.finding.Audit`)."""
        return self.root / "audit.json"

    @property
    def audit_passed(self) -> Path:
        """Which findings were accepted, of a study that others would stop (`audit.fail_on`)."""
        return self.root / "audit_passed.json"

    @property
    def runs(self) -> Path:
        """The run store; never declared to Snakemake, which deletes outputs of failed jobs."""
        return self.root / "runs"

    @property
    def packed(self) -> Path:
        """Folder of the archives that hold the run store once it is packed."""
        return self.root / "packed"

    def trial(self, config_id: str, split: str) -> Path:
        """Folder of one trial in the run store."""
        return self.runs / config_id / split

    @property
    def set_aside(self) -> Path:
        """Trials whose fingerprint no longer matches."""
        return self.root / "set_aside"

    @property
    def last_run(self) -> Path:
        """What the last run was asked for (:class:`gridfold.store.last_run.LastRun`)."""
        return self.root / "run.json"

    @property
    def controller(self) -> ControllerPaths:
        """Who runs the study, and what `gridfold submit` knows of it."""
        return ControllerPaths(self.root / "controller")

    def snapshot(self, name: str) -> Path:
        """Folder of what a run was asked for (:mod:`gridfold.plan.snapshot`)."""
        return self.root / "request" / name

    @property
    def ledger(self) -> Path:
        """Which trial belongs to which shard."""
        return self.root / "ledger.jsonl"

    @property
    def shards(self) -> Path:
        """Folder of the tables that the training jobs write."""
        return self.root / "shards"

    @property
    def search(self) -> Path:
        """Folder of what is decided while a search runs."""
        return self.root / "search"

    def stage(self, name: str) -> Path:
        """File that says which configurations a stage has."""
        return self.search / f"{name}.json"

    @property
    def catalogue(self) -> Path:
        """Every configuration of the study, whichever stage has found it."""
        return self.search / "catalogue.json"

    def shard_tables(self, shard: str) -> tuple[Path, Path, Path]:
        """Trials, epochs and predictions that a training job writes."""
        names = ("trials", "epochs", "predictions")
        trials, epochs, predictions = (self.shards / f"{shard}.{n}.parquet" for n in names)
        return trials, epochs, predictions

    def decision_log(self, search: str) -> Path:
        """Log of an asynchronous search, named by what it depends on; not declared to Snakemake."""
        return self.search / f"rungs-{search}.jsonl"

    @property
    def decisions(self) -> Path:
        """What an asynchronous search has decided, in order."""
        return self.search / "decisions.json"

    def rungs_job(self, job: str) -> Path:
        """Return what a job of an asynchronous search writes when it has nothing left to do."""
        return self.search / "jobs" / f"{job}.json"

    @property
    def tuner(self) -> Path:
        """Folder of a search with Keras Tuner or Optuna: state, and how chief and workers meet."""
        return self.search / "tuner"

    @property
    def tuner_state(self) -> Path:
        """All that its oracle knows; never declared to Snakemake."""
        return self.tuner / "oracle.json"

    @property
    def optuna_journal(self) -> Path:
        """All that a sampler of Optuna knows; never declared to Snakemake."""
        return self.tuner / "optuna.log"

    @property
    def tuner_chief(self) -> Path:
        """Where its chief is."""
        return self.tuner / "chief.json"

    @property
    def tuner_job(self) -> Path:
        """What its workers must know."""
        return self.tuner / "job.json"

    @property
    def progress(self) -> Path:
        """Folder with one small file for each running job."""
        return self.root / "progress"

    @property
    def jobs(self) -> Path:
        """Folder of what each training job was given and used; not declared to Snakemake."""
        return self.root / "jobs"

    @property
    def help_order(self) -> Path:
        """What training jobs can help each other with (:mod:`gridfold.store.help_order`)."""
        return self.shards / "help.json"

    @property
    def budget(self) -> Path:
        """Folder of the search's budget; not declared to Snakemake."""
        return self.root / "budget"

    @property
    def budget_order(self) -> Path:
        """How the budget is kept to (:class:`gridfold.plan.budget.BudgetOrder`)."""
        return self.budget / "order.json"

    @property
    def spent(self) -> Path:
        """Folder with one small file for each run of a training job: what it has taken."""
        return self.budget / "spent"

    def left_out(self, shard: str) -> Path:
        """Which trials of a job the budget has left out, if any."""
        return self.budget / "left_out" / f"{shard}.json"

    @property
    def budget_outcome(self) -> Path:
        """What the budget came to (:class:`gridfold.search.budget.BudgetOutcome`)."""
        return self.tables / "budget.json"

    def ranks(self, job: str) -> Path:
        """Folder through which the ranks of a distributed job report."""
        return self.progress / f"{job}.ranks"

    @property
    def tables(self) -> Path:
        """Folder of the tables for readers."""
        return self.root / "tables"

    def table(self, name: str) -> Path:
        """Return where a table lies for programs."""
        return self.tables / f"{name}.parquet"

    def table_csv(self, name: str) -> Path:
        """Return where a table lies for people."""
        return self.tables / f"{name}.csv"

    @property
    def best(self) -> Path:
        """The selected configuration (:class:`gridfold.store.selection.Selection`)."""
        return self.tables / "best.json"

    @property
    def chance(self) -> Path:
        """What it reaches by chance (:class:`gridfold.store.chance.ChanceLevel`)."""
        return self.tables / "chance.json"

    @property
    def nested(self) -> Path:
        """What the outer folds say (:class:`gridfold.store.nested.NestedEstimate`)."""
        return self.tables / "nested.json"

    @property
    def out_of_fold(self) -> Path:
        """What the models of the selected configuration say about their validation parts."""
        return self.table("best_predictions")

    @property
    def comparison(self) -> Path:
        """What the comparison has found (:class:`gridfold.statistics.result.ComparisonFacts`)."""
        return self.tables / "comparison.json"

    @property
    def final(self) -> Path:
        """Folder of the final model."""
        return self.root / "final"

    @property
    def final_model(self) -> FinalModelPaths:
        """The files in the folder of the final model."""
        return FinalModelPaths(self.final)

    @property
    def tensorboard(self) -> Path:
        """What `gridfold tensorboard` writes; can be made again at any time."""
        return self.root / "tensorboard"

    @property
    def profiles(self) -> Path:
        """What `gridfold profile` writes."""
        return self.root / "profiles"

    @property
    def figures(self) -> Path:
        """Folder of the figures."""
        return self.root / "figures"

    def figure(self, name: str, kind: str) -> Path:
        """Return a file of a figure: ``svg``, ``png``, or ``json`` for its words."""
        return self.figures / f"{name}.{kind}"

    @property
    def notebook(self) -> Path:
        """Folder of the executed notebook."""
        return self.root / "notebook"

    @property
    def executed_notebook(self) -> Path:
        """The notebook with its results."""
        return self.notebook / "notebook.ipynb"

    @property
    def notebook_page(self) -> Path:
        """The same as a page."""
        return self.notebook / "notebook.html"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report.html"

    @property
    def readme(self) -> Path:
        """What lies where, and how it is made again."""
        return self.root / "README.md"

    def checklist(self, name: str) -> Path:
        """Return where a checklist lies, filled in."""
        return self.root / "checklists" / f"{name}.md"

    @property
    def croissant(self) -> Path:
        """Metadata of the data, in the form of Croissant."""
        return self.root / "croissant.json"

    @property
    def crate(self) -> Path:
        """Metadata of the run, which make its folder a crate."""
        return self.root / "ro-crate-metadata.json"

    def workflow_copy(self, file: Path) -> Path:
        """Return where the crate keeps a file of the workflow: the Snakefile, or rules."""
        folder = self.root / "workflow"
        return folder / "rules" / file.name if file.suffix else folder / file.name

    @property
    def logs(self) -> Path:
        """Folder of the jobs' logs."""
        return self.root / "logs"

    def log(self, rule: str, name: str = "") -> str:
        """Log of a job: ``logs/<rule>.log`` or, for one of many, ``logs/<rule>/<name>.log``."""
        return str(self.logs / (f"{rule}/{name}.log" if name else f"{rule}.log"))

    def benchmark(self, rule: str, name: str = "") -> str:
        """Snakemake's own time and memory record of a job, named like its log."""
        return str(self.root / "benchmarks" / (f"{rule}/{name}.tsv" if name else f"{rule}.tsv"))


def manifest_file(data: Path) -> Path:
    """Return the file in a folder of prepared arrays that says what they are."""
    return data / "manifest.json"


def description_file(data: Path) -> Path:
    """Return the file in a folder of prepared arrays that describes the data for people."""
    return data / "description.json"


def array_file(data: Path, name: str) -> Path:
    """Return the file of an array in a folder of prepared arrays."""
    return data / f"{name}.npy"


def result_file(trial: Path, epochs: int) -> Path:
    """Return the file in a trial's folder that answers for a number of epochs."""
    return trial / f"result-{epochs:05d}.json"

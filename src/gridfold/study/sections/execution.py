"""The `execution` section: how trials become jobs. Nothing here changes a result."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gridfold.study.sections.base import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ProcessCount,
    Section,
)


class Execution(Section):
    """How trials become jobs; what a machine offers belongs to the profile instead."""

    trials_per_job: Literal["auto", "split", "configuration"] | PositiveInt = Field(
        "auto",
        description="`split`: one trial a job; `configuration`: all splits of one configuration; "
        "a number; or `auto`: about half an hour of estimated work.",
    )
    workers: Literal["auto"] | ProcessCount = Field(
        "auto",
        description="Trials that run at the same time in one job; `auto` uses its cores, "
        "or its GPUs.",
    )
    trials_per_gpu: ProcessCount = Field(
        1,
        description="Trials that share a GPU of their job where `workers` is `auto`. Each gets its "
        "part of the memory, less what CUDA takes for a process; where the driver does not tell "
        "how much there is, each takes what it needs.",
    )
    threads_per_worker: ProcessCount = Field(
        1, description="CPU threads of each trial; with Horovod, of each rank."
    )
    start_timeout: PositiveFloat = Field(
        180.0,
        description="Seconds from the start of the first rank until all must be ready, in "
        "distributed training; more on a slow file system.",
    )
    trial_timeout: Annotated[int, Field(gt=0, le=31_536_000)] | None = Field(
        None,
        description="Seconds after which a trial that has not ended is killed, and has failed; a "
        "retry goes on from its last checkpoint. The final model has the same time. Off when left "
        "out. Changes no result.",
    )
    in_memory_mb: NonNegativeInt = Field(
        1024,
        description="MB of samples that a trial keeps in memory, 4 bytes for each number; more are "
        "read from disk batch by batch. Changes no result.",
    )
    share_process: bool | None = Field(
        None,
        description="Whether one process trains trials whose graphs are the same, as those of a "
        "configuration on its splits, one after another, and traces them once. Left out: those of "
        "`mlp` and `cnn`. `true`: those of `model.python` as well, whose function must then build "
        "the same from the same values and keep no state. Changes no result.",
    )
    help_others: bool = Field(
        True,
        description="Whether, on a cluster, a training job that has begun all of its trials begins "
        "those of jobs that wait in the queue or have more trials than workers; they find the "
        "results. Not with `search.budget`, nor for trials on several devices. Changes no result.",
    )
    retries: Annotated[int, Field(ge=0, le=1000)] = Field(
        1, description="Times a failed job is repeated; only what is missing runs again."
    )
    failed_trials: Literal["stop", "report"] = Field(
        "stop",
        description="After the last retry: `stop` without a report, or go on and `report` failed "
        "trials as such. A diverged trial (NaN loss) is a result, and always reported.",
    )

"""Items on jobs of Slurm: each job starts workers of Dask that take one item after the other."""

import math
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from landscape.engines.engine import Item, parameters
from landscape.engines.with_dask import Dask
from landscape.utils.optional import optional

MEMORY, WALLTIME = "8GB", "01:00:00"  # of a job, where the user names none


@dataclass(frozen=True)
class Slurm(Dask):
    """Items on `workers` jobs of Slurm, submitted by dask-jobqueue, https://jobqueue.dask.org.

    A job holds one card, and `1 / gpus_per_cell` processes that share it; `gpus_per_cell` is not
    asked for on the CPU (`--device cpu`). Jobs that end, are preempted or killed are submitted
    again until all items are done; an item begun there goes on from its checkpoint elsewhere.
    at: "auto" alone: `sbatch` knows the cluster.
    workers: items at once; needed.
    args: of `dask_jobqueue.SLURMCluster`: queue (the partition), account, walltime (default one
    hour), memory (default 8GB), cores, interface, job_extra_directives, job_script_prologue,
    log_directory, ...
    """

    def check(self) -> None:
        """Raise ValueError where something is missing or an argument does not exist."""
        jobqueue = optional("dask_jobqueue", "cluster")
        if self.at != "auto":
            raise ValueError(
                f"`at` has no effect: sbatch knows the cluster of Slurm. Got {self.at!r}."
            )
        if self.workers is None:
            raise ValueError("`workers` says how many items run at once on Slurm: it is needed.")
        if shutil.which("sbatch") is None:
            raise ValueError("There is no `sbatch` here: submit from a login node of Slurm.")
        from dask_jobqueue import core, slurm

        kinds = (jobqueue.SLURMCluster, core.JobQueueCluster, core.Job, slurm.SLURMJob)
        reserved = {"n_workers", "job_cls", "processes", "scheduler", "asynchronous", "loop"}
        self.check_args(parameters(*(kind.__init__ for kind in kinds)) - reserved)

    def _client(self, stack: ExitStack, items: Sequence[Item]) -> Any:
        """A client of the jobs, which end with the stack."""
        from dask_jobqueue import SLURMCluster
        from distributed import Client

        assert self.workers is not None
        on_cards = any(item.device != "cpu" for item in items)
        per_job = self.per_card if on_cards else 1
        given = {"memory": MEMORY, "walltime": WALLTIME, "cores": per_job, **self.args}
        directives = [*given.pop("job_extra_directives", []), *["--gres=gpu:1"] * on_cards]
        cluster = stack.enter_context(
            SLURMCluster(processes=per_job, job_extra_directives=directives, **given)
        )
        jobs = math.ceil(min(self.workers, len(items)) / per_job)
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
        return stack.enter_context(Client(cluster))

"""
Lifelong learning: what is forgotten
====================================

The ten digits arrive as five tasks of two classes. Each is trained in turn, and after each the
network is tested on all of them. Does a method of flat minima forget less?
"""

# %%
# SGD and SAM on the same four seeds: the seed decides which classes form which task. A task is a
# training of its own, two epochs long; the network goes on, its last layer has a head for each
# task. After each task the largest eigenvalue of the Hessian is measured on what was seen so far.

import tempfile
from pathlib import Path

import landscape as ls
from landscape import plots
from landscape.statistics.intervals import paired_difference

folder, seeds = Path(tempfile.mkdtemp()), range(4)
short = {"training": {"epochs": 2, "device": "cpu"}}
after_each = {**short, "lifelong": {"measure": "task"}}


def trained(method, settings, name):
    return [
        ls.train("split-digits", method, seed, folder / f"{name}-{seed}", settings=settings)
        for seed in seeds
    ]


quick = {"k": 1, "tolerance": 0.05}
records = {
    method: [
        ls.analyze(run, ["eigenvalues"], options={"eigenvalues": quick}, examples=200)["lifelong"]
        for run in trained(method, after_each, method)
    ]
    for method in ("sgd", "sam")
}
plots.task_accuracy(records)

# %%
# Rows of the matrix are the tasks in the order of learning. Below the frames stands what is left of
# a task when others were learned after it.

plots.accuracy_matrix(records)

# %%
# Average accuracy is the mean of the last row. Forgetting is the fall of a task's accuracy from the
# best it had before the last task, a mean over all tasks but the last. The difference is paired
# over seeds, with its 95 % interval; four seeds decide little, and ``landscape compare`` takes six
# and tests all differences.


def difference(metric):
    a, b = ([getattr(r, metric) for r in records[m]] for m in ("sam", "sgd"))
    found = paired_difference(a, b)
    return f"{100 * found.mean:+.1f} points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


for metric in ("average_accuracy", "forgetting"):
    print(f"{metric}, SAM minus SGD: {difference(metric)}")

# %%
# Left: how sharp the loss on the tasks so far is. Right: the way from the weights just after each
# task to the last ones, on the tests of that task.

plots.task_sharpness(records)

# %%
# A memory of ten examples per class, from the second task on: every batch then holds as many
# remembered examples as new ones. With tasks as easy as these little is left to forget.

replay = {**short, "lifelong": {"replay": "balanced"}}
records["sgd@replay"] = [
    run.records()["lifelong"] for run in trained("sgd", replay, "replay")
]  # fmt: skip
plots.lifelong_metrics(records)

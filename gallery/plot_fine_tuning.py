"""
Fine-tuning: how far each part moves
====================================

A small conv net learns the digits 0 to 4, then 5 to 9 from 50 labels: with a new head on all of its
old weights, on a slow body, and on a frozen one. How far does each part go from where it started?
"""

# %%
# The first training, on the digits 0 to 4. Its folder is what the others start from.

import tempfile
from pathlib import Path

import landscape as ls
from landscape import plots
from landscape.statistics.intervals import t_interval

folder, seeds = Path(tempfile.mkdtemp()), range(4)
low = ls.train(
    "digits-low", "sgd", out=folder / "low", settings={"training": {"epochs": 5, "device": "cpu"}}
)

# %%
# Groups of parameters are named by patterns: a learning rate of their own, or ``freeze``. The task
# drops the old head, so that the seed draws a new one. On the command line these are ``--init low``
# and tables ``[[groups]]`` in a file of settings.

BODY, REST = "(conv|norm).*", {"match": ".*"}
GROUPS = {
    "sgd@full": [],
    "sgd@slow": [{"match": BODY, "lr": 0.005}, REST],
    "sgd@frozen": [{"match": BODY, "freeze": True}, REST],
}


def tuned(name, seed):
    training = {"epochs": 10, "device": "cpu", "groups": GROUPS[name]}
    settings = {"training": training, "init": {"source": str(low.path)}}
    return ls.train("digits-high", name, seed, folder / f"{name}-{seed}", settings=settings)


runs = {name: [tuned(name, seed) for seed in seeds] for name in GROUPS}

# %%
# The distance of each part from its start, as a share of its norm, and as it is. A frozen part has
# no mark. The head was drawn: its distance is from random weights.

records = {name: [run.records()["displacement"] for run in held] for name, held in runs.items()}
plots.displacement(records)

# %%
# Mean over four seeds with its 95 % interval: how far the body moved, and what that gains in
# accuracy. Four seeds decide little; ``landscape compare --init`` takes six, tests every
# difference, and its report has this figure.


def mean(values):
    found = t_interval(values)
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


for name, held in runs.items():
    accuracy = mean([run.metrics[-1]["test_accuracy"] for run in held])
    print(f"{name}: test accuracy {accuracy}", end="")
    moved = [record.relative for record in records[name]]
    print("" if name == "sgd@frozen" else f", the body moved {mean(moved)} of its norm")

"""
Does flatness predict anything?
===============================

Networks stopped at one training loss: which measure orders them as their generalisation gap
does, and along which setting?
"""

# %%
# ``landscape correlate --task digits`` trains 162 networks in an hour or less. Here its committed
# answers are read.

import json
from pathlib import Path

from landscape.correlation.sentences import sentences, table
from landscape.plots.correlation.forest import forest
from landscape.plots.correlation.matrix import matrix
from landscape.plots.correlation.networks import networks
from landscape.statistics.grid_answers import GridAnswers
from landscape.statistics.network_table import read_networks

results = Path(__file__).parents[1] / "benchmarks" / "results"


def read(task):
    """The answers of a study."""
    text = (results / f"correlate-{task}.json").read_text(encoding="utf-8")
    return GridAnswers.from_dict(json.loads(text))


answers = read("digits")
print("\n".join(sentences(answers)))

# %%
# The mean rank correlation Ψ of each measure with the gap, its interval over settings, and the band
# in which it would lie by chance. Verdicts are on the right, with the axis that agrees least.

print(table(answers, "gap_loss"))
forest(answers)

# %%
# The mean hides what happens along each setting. Grey cells cannot be told from zero.

matrix(answers)

# %%
# A point is a network. What looks like one cloud may be several, one for each batch size.

networks(read_networks(results / "correlate-digits.csv"), "batch size")

# %%
# The same on Fashion-MNIST, 106 networks of LeNet's size. λ max goes with the gap from method to
# method, and against it from learning rate to learning rate.

fashion = read("fashion-mnist")
print("\n".join(sentences(fashion)))
matrix(fashion)

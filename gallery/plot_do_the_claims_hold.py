"""
Do the claims hold?
===================

What five papers claim of their methods, tested on small tasks with every method tuned alike: gains
with their intervals, what would explain them, and a verdict for each.
"""

# %%
# ``landscape claims`` trains the studies and writes ``claims.json``, in hours. Here its committed
# outcome is read; ``landscape claims --paper aace --quick`` gives an orientation in minutes.

import json
from pathlib import Path

from landscape.claims import wording
from landscape.plots.claims.forest import forest
from landscape.statistics.claim_verdict import Evidence, gain_of, verdict

record = json.loads(
    (Path(__file__).parents[1] / "benchmarks" / "results" / "claims.json").read_text("utf-8")
)
print(wording.headline(record["claims"]))

# %%
# The gain of each claim in units of its margin, the least gain that matters. Intervals are paired
# over seeds. A diamond is the gain over a control: where it does not lie to the right of zero, the
# control explains the gain as well.

forest(record["claims"])

# %%
# The gains by seed are in the record, too: here those of one claim. The verdict follows from them
# alone, so another margin can be judged without training anything again.

row = next(row for row in record["claims"] if row["values_a"])
for margin in (0.05, 0.2):
    gain = gain_of(row["values_a"], row["values_b"], row["kind"], margin)
    said, why = verdict(gain, row["kind"], margin, Evidence(row["holm_p"], row["planned"]))
    print(f"{row['says']}, margin {margin:g}: {said} {why}")

# %%
# What was not measured is said, too.

print("\n".join(wording.missing(record["claims"])))

"""
The radius, learned by LETS
===========================

SAM's radius ρ is one more number to tune. LETS learns it while it trains, by descending a loss on
held-out examples with respect to ρ.
"""

# %%
# Two starts, one five times the other, three seeds each. ``beta`` is the speed of learning; the
# default is a fifth of this, too slow for so few epochs.

import tempfile
from pathlib import Path

import landscape as ls
from landscape import plots

folder = Path(tempfile.mkdtemp())
short = {"training": {"epochs": 10, "device": "cpu"}}
starts = {"lets@from-0.02": 0.02, "lets@from-0.1": 0.1}
runs = {
    name: [
        ls.train(
            "digits", "lets", seed, folder / f"{rho}-{seed}",
            settings={**short, "lets": {"rho": rho, "beta": 0.05}},
        )
        for seed in range(3)
    ]
    for name, rho in starts.items()
}  # fmt: skip
radii = {name: [run.records()["radius"] for run in found] for name, found in runs.items()}
for name, found in radii.items():
    last = ", ".join(f"{record.radius[-1]:.3f}" for record in found)
    print(f"{name}: ρ after ten epochs {last}")

# %%
# Left the radius. Right how often the slope of the loss by ρ was negative, so that the radius grew:
# near one half it is in balance. The radius grows from both starts; ten epochs are too few to tell
# whether it would end at the same place.

plots.radius(radii)

# %%
# For comparison, SAM at three fixed radii on the same seeds. When seeds differ as much as methods,
# three seeds distinguish nothing; ``landscape compare`` takes six and tests the differences.

for rho in (0.02, 0.1, 0.5):
    runs[f"sam@{rho}"] = [
        ls.train(
            "digits", "sam", seed, folder / f"sam-{rho}-{seed}",
            settings={**short, "sam": {"rho": rho}},
        )
        for seed in range(3)
    ]  # fmt: skip
for name, found in runs.items():
    accuracy = ", ".join(f"{run.metrics[-1]['test_accuracy']:.3f}" for run in found)
    print(f"{name}: test accuracy {accuracy}")

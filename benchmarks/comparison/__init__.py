"""Everything `benchmarks/peers.py` times: ours and other libraries on the same networks and data.

`rounds.py` takes the times, `subjects.py` has the networks, `truth.py` the float64 references,
which share no code with the package; `page.py` writes the tables. The other files are rows.
"""

from comparison import cards, eigenvalues, noise, products, startup, steps, surfaces, traces
from comparison.page import Row

GROWTH = "growth"  # cost over size, a table and a picture of its own

ROWS: dict[str, Row] = {
    "product": products.ways,
    "eigenvalues": eigenvalues.top_ten,
    "top-1": eigenvalues.top_one,
    "trace": traces.to_one_percent,
    "surface": surfaces.whole,
    "surface-3x3": surfaces.fixed_cost,
    "noise": noise.curve,
    "sam": steps.sam,
    "methods": steps.others,
    "startup": startup.commands,
}
CARDS: dict[str, Row] = {  # a GPU's worth of work; on a CPU only tried, with `--quick`
    "gpu-eigenvalues": cards.eigenvalues,
    "gpu-gpt2": cards.gpt2,
    "gpu-surface": cards.surface,
    "gpu-step": cards.step,
    "gpu-analysis": cards.analysis,
    "gpu-epoch": cards.epoch,
    "gpu-compare": cards.study,
}

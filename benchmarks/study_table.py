"""A study as a Markdown table: a line for each method, mean ± half of the 95 % t interval."""


def lines(study, shown):
    """shown: names of metrics. A star: the paired interval against the baseline leaves out zero
    and Holm's p < 0.05.
    """
    c = study.comparison
    rows = [list(c.metrics).index(name) for name in shown]
    found = [
        f"| method | {' | '.join(shown)} |",
        f"| --- | {' | '.join('---' for _ in shown)} |",
    ]
    for j, method in enumerate(c.methods):
        cells = []
        for i in rows:
            star = "\\*" if c.holm_p[i, j] < 0.05 else ""
            cells.append(f"{c.mean[i, j]:.4g} ± {c.high[i, j] - c.mean[i, j]:.2g}{star}")
        found.append(f"| {method} | {' | '.join(cells)} |")
    return found

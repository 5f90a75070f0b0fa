"""Names, counts and cautions as a sentence holds them."""

from landscape.plots.drawing.style import style_of
from landscape.records import StudyRecord


def method_name(method: str) -> str:
    """The label of a method, as the figures write it."""
    return style_of(method).label


def capitalised(words: str) -> str:
    """Words with a capital first letter; Greek symbols keep their size, Λ is not λ."""
    return words[0].upper() + words[1:] if words[0].isascii() else words


def listed(words: list[str]) -> str:
    """Join words as "a", "a and b" or "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def timing_caution(study: StudyRecord) -> str:
    """Caution about training times; "" if one run was trained at a time."""
    at_once = study.settings.get("runs_at_once")
    if at_once == 1 or study.status.size == 1:
        return ""
    if at_once is None:
        return "Runs may have shared the machine, so compare gradient evaluations, not times."
    return (
        f"Up to {at_once} runs shared the machine, so training times depend on what else ran: "
        "compare gradient evaluations instead."
    )

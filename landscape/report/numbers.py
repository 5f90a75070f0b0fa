"""Numbers as a reader sees them: no more digits than the interval carries."""

import math

MINUS, NONE = "−", "–"


def number(value: float, uncertainty: float = math.nan) -> str:
    """Format with two digits of the uncertainty, or four significant digits if there is none."""
    if not math.isfinite(value):
        return NONE
    if math.isfinite(uncertainty) and uncertainty > 0:
        decimals = max(0, 1 - math.floor(math.log10(uncertainty)))
        if decimals <= 7 and abs(value) < 1e6:
            return f"{value:.{decimals}f}".replace("-", MINUS)
    return f"{value:.4g}".replace("-", MINUS)


def with_interval(mean: float, low: float, high: float, typical: float = math.nan) -> str:
    """ "0.921 ± 0.004": the mean and half the interval; the mean alone where there is none.

    typical: half width that sets the digits of a whole column, unless it would round this one away.
    """
    half = (high - low) / 2
    if not math.isfinite(mean) or not math.isfinite(half):
        return number(mean, typical)
    digits = typical if math.isfinite(typical) and half >= 0.2 * typical else half
    return f"{number(mean, digits)} ± {number(half, digits)}"


def signed(value: float, uncertainty: float = math.nan) -> str:
    """A difference: always with its sign."""
    words = number(value, uncertainty)
    return words if words.startswith(MINUS) or words == NONE else f"+{words}"


def signed_interval(value: float, low: float, high: float) -> str:
    """ "+1.5 [+1.1, +1.9]"."""
    half = (high - low) / 2
    if not math.isfinite(half):
        return signed(value)
    return f"{signed(value, half)} [{signed(low, half)}, {signed(high, half)}]"


def p_value(p: float) -> str:
    """Three decimals, or that it is smaller."""
    if not math.isfinite(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"

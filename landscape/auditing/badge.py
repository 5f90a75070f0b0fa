"""Badge of an audit: a small SVG for a README, which asks nothing of the network."""

from html import escape

from landscape.auditing.verdicts import Audit

LEFT, CHARACTER, PAD = "minimum audited", 6.6, 12  # label; widths in pixels of a 11 px sans serif
PASSED, FAILED, MEASURED = "#1A7F37", "#CF222E", "#57606A"


def badge(audit: Audit) -> str:
    """The badge as SVG: how many requirements hold, or that it was measured."""
    words = audit.tally() if audit.verdicts else "no requirements"
    colour = (PASSED if audit.passed else FAILED) if audit.verdicts else MEASURED
    left, right = (CHARACTER * len(text) + PAD for text in (LEFT, words))
    middle = left + right / 2
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" height="20" '
        f'width="{left + right:.0f}" aria-label="{escape(LEFT)}: {escape(words)}">'
        f'<rect width="{left + right:.0f}" height="20" rx="3" fill="#3A424C"/>'
        f'<rect x="{left:.0f}" width="{right:.0f}" height="20" rx="3" fill="{colour}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11"><text x="{left / 2:.1f}" y="14">{escape(LEFT)}</text>'
        f'<text x="{middle:.1f}" y="14">{escape(words)}</text></g></svg>\n'
    )

"""Page of a scene of bowls: buttons for the methods, their numbers, a slow turn until a touch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TEMPLATE = Path(__file__).with_name("bowl.html")


def html(figure: "Figure") -> str:
    """Render the page; it carries plotly.js and asks nothing of the network.

    figure: its traces name their method in `meta`, its layout's `meta` holds the words.
    """
    from plotly.offline import get_plotlyjs

    data = json.dumps(json.loads(figure.to_json())).replace("<", "\\u003c")  # ends no script
    page = TEMPLATE.read_text(encoding="utf-8")
    return page.replace("/*PLOTLY*/", get_plotlyjs()).replace("/*FIGURE*/", data)

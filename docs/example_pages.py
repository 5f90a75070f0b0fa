"""How sphinx-gallery orders the examples and finds their figures."""

from pathlib import Path

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

ORDER = (
    "first_look",
    "your_own_model",
    "new_method",
    "spectrum",
    "filter_normalisation",
    "batch_norm",
    "skip_connections",
    "noise_nine_methods",
    "fourteen_methods",
    "do_the_claims_hold",
    "does_flatness_predict",
    "reparameterisation",
    "path",
    "lets_radius",
    "edge_of_stability",
    "lifelong",
    "fine_tuning",
    "segmentation",
    "pyhessian",
)


def order(name):
    """From the first look to the special; what is not listed comes last, by name."""
    stem = Path(name).stem.removeprefix("plot_")
    return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)


def _get_sg_image_scraper():
    return last_figure


def last_figure(block, block_vars, gallery_conf):
    """The figure that is a block's last expression: our plots stay out of pyplot, so that they
    leave nothing open, and sphinx-gallery looks for pyplot's only.
    """
    values = block_vars["example_globals"]
    found = values.get("___")
    if not isinstance(found, Figure) or hasattr(found, "number"):
        return ""
    values["___"] = None  # else a later block without a value would draw it again
    path = next(block_vars["image_path_iterator"])
    found.savefig(path, dpi=150)
    return figure_rst([path], gallery_conf["src_dir"])

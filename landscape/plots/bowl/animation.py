"""Animations, saved as GIF, or as MP4 where ffmpeg is installed."""

import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from landscape.plots.drawing.output import only_settings
from landscape.plots.drawing.style import STYLE
from landscape.records import Array
from landscape.utils import files
from landscape.utils.paths import PathLike, as_path

FORMATS = ("gif", "mp4")
DPI = 100
COLOURS = 96  # of the palette that all frames of a GIF share
PALETTE_FROM = 6  # frames
STRIP = 40  # rows of an accent beside them, so that it is not averaged away


@dataclass(frozen=True, eq=False)
class Animation:
    """Figure with a function that draws the next state of it: show(i) for each of `frames`.

    pause: seconds between two frames. accents: colours of small things that a palette must hold.
    """

    figure: Figure
    frames: int
    show: Callable[[int], None]
    pause: float = 0.08
    accents: Sequence[str] = ()

    def images(self) -> list[Array]:
        """Render all frames, each (height, width, 3) of bytes."""
        canvas, found = FigureCanvasAgg(self.figure), []
        with only_settings(STYLE):
            for i in range(self.frames):
                self.show(i)
                canvas.draw()
                found.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
        return found


def save_animation(animation: Animation, path: PathLike) -> Path:
    """Write an animation atomically; the ending decides: .gif, or .mp4, which needs ffmpeg.

    Raises ValueError for another ending, and for .mp4 without ffmpeg.
    """
    path = as_path(path)
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise ValueError(f"`path` must end in .gif or .mp4. Got {path.name!r}.")
    if name == "mp4" and shutil.which("ffmpeg") is None:
        raise ValueError("An mp4 needs ffmpeg, which is not installed: use gif.")
    animation.figure.set_dpi(DPI)
    files.write(path, _gif(animation) if name == "gif" else _mp4(animation))
    return path


def _gif(animation: Animation) -> bytes:
    """Encode frames on one palette, without dithering: what stands still costs little."""
    from PIL import Image

    frames = animation.images()
    some = frames[:: max(1, len(frames) // PALETTE_FROM)]
    width = frames[0].shape[1]
    strips = [np.full((STRIP, width, 3), 255 * np.array(to_rgb(c))) for c in animation.accents]
    shown = np.concatenate([*some, *strips]).astype(np.uint8)
    palette = Image.fromarray(shown).quantize(
        COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    first, *others = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    )
    buffer = io.BytesIO()
    first.save(
        buffer, "GIF", save_all=True, append_images=others, loop=0, optimize=True,
        duration=round(1000 * animation.pause),
    )  # fmt: skip
    return buffer.getvalue()


def _mp4(animation: Animation) -> bytes:
    from matplotlib.animation import FFMpegWriter

    with TemporaryDirectory() as folder:
        path = Path(folder) / "animation.mp4"
        writer = FFMpegWriter(fps=round(1 / animation.pause), bitrate=1200)
        with only_settings(STYLE), writer.saving(animation.figure, str(path), DPI):
            for i in range(animation.frames):
                animation.show(i)
                writer.grab_frame()
        return path.read_bytes()

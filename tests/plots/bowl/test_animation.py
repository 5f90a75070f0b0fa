"""Animations: a full turn, a way that grows, files that loop and are small."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from landscape.plots.bowl import animation, trajectory, turning
from landscape.plots.bowl.animation import Animation, save_animation


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(turning, "FRAMES", 3)
    monkeypatch.setattr(trajectory, "FRAMES", 10)


def said(figure):
    return " ".join(text.get_text() for text in figure.texts)


def frames(path):
    found = []
    with Image.open(path) as image:
        for i in range(image.n_frames):
            image.seek(i)
            found.append(np.asarray(image.convert("RGB")))
        return found, image.info


def test_a_bowl_turns_once_and_loops(made_up, few, tmp_path):
    path = save_animation(turning.turning(made_up["rise_area"]), tmp_path / "turn.gif")
    found, about = frames(path)
    assert len(found) == 3 and about["loop"] == 0
    assert all((found[0] != other).any() for other in found[1:])
    red = np.abs(found[0].astype(int) - (0xD1, 0x35, 0x0F)).max(axis=2) < 24
    assert red.sum() > 200
    assert path.stat().st_size < 600_000


def test_baseline_and_largest_area_are_shown_with_their_means(made_up):
    shown = turning.turning(made_up["rise_area"])
    words = said(shown.figure)
    assert "SGD" in words and "LETS" in words and "SAM" not in words
    mean = np.mean([r.area for r in made_up["rise_area"]["lets"]])
    assert f"area {mean:#.3g}" in words
    assert "dashed: SGD’s" in words and "means of 3 seeds" in words
    azimuths = []
    for i in (0, turning.FRAMES):
        shown.show(i)
        azimuths.append(shown.figure.axes[0].azim)
    assert azimuths[1] - azimuths[0] == 360


def test_quads_are_lit_and_the_ring_is_red(made_up):
    shape = turning.bowl(made_up["rise_area"]["sam"][0], 1.0)
    quads, colours = turning._solid(shape, 0.1, 1.0)
    assert quads.shape[1:] == (4, 3) and len(quads) == len(colours)
    red = np.isclose(colours, turning.to_rgb("#D1350F")).all(axis=1)
    assert red.sum() == 2 * (len(shape.ring) - 1)
    np.testing.assert_allclose(quads[red][..., 2].mean(axis=1), 0.1)
    assert np.ptp(colours[~red] @ (0.3, 0.6, 0.1)) > 0.2


@pytest.fixture
def way(surface_record):
    x = y = np.linspace(-1, 1, 9)
    loss = 0.1 + x[:, None] ** 2 + 0.2 * y[None, :] ** 2
    points = np.array([[-0.8, 0.6], [0.1, 0.5], [0.0, 0.0]])
    return surface_record(
        x=x, y=y, loss=loss, directions="trajectory", points=points,
        point_names=np.array(["1", "2", "8"]), points_off_plane=np.array([0.4, 0.2, 0.0]),
    )  # fmt: skip


def test_the_training_goes_over_the_surface(way, few, tmp_path):
    shown = trajectory.descending(way)
    line, ball = shown.figure.axes[0].lines
    shown.show(0)
    assert "epoch 1" in said(shown.figure)
    np.testing.assert_allclose([a[0] for a in ball.get_data_3d()[:2]], way.points[0])
    shown.show(trajectory.FRAMES - 1)
    assert "epoch 8" in said(shown.figure)
    x, y, z = line.get_data_3d()
    np.testing.assert_allclose([x[-1], y[-1]], way.points[-1], atol=1e-12)
    assert z[-1] == pytest.approx(-1.0, abs=0.05) and z[0] > z[-1]  # log₁₀ of the loss, 0.1
    assert "up to 0.4 off it" in said(shown.figure)
    shown.images()
    for box in (t.get_window_extent() for t in shown.figure.texts):
        assert box.x0 >= 0 and box.x1 <= shown.figure.bbox.x1  # no word is cut
    found, _ = frames(save_animation(shown, tmp_path / "way.gif"))
    assert len(found) == 10 and found[0].shape == (390, 520, 3)


def test_a_surface_along_other_directions_has_no_way(way):
    with pytest.raises(ValueError, match=r"landscape analyze RUN .*directions=trajectory"):
        trajectory.descending(replace(way, directions="random"))


def test_endings(made_up, tmp_path, monkeypatch):
    shown = Animation(turning.turning(made_up["rise_area"]).figure, 1, lambda _: None)
    with pytest.raises(ValueError, match=r"must end in .gif or .mp4. Got 'a.png'"):
        save_animation(shown, tmp_path / "a.png")
    monkeypatch.setattr(animation.shutil, "which", lambda _: None)
    with pytest.raises(ValueError, match=r"An mp4 needs ffmpeg, which is not installed: use gif"):
        save_animation(shown, tmp_path / "a.mp4")


@pytest.mark.skipif(animation.shutil.which("ffmpeg") is None, reason="no ffmpeg here")
def test_mp4(made_up, few, tmp_path):
    path = save_animation(turning.turning(made_up["rise_area"]), tmp_path / "turn.mp4")
    assert b"ftyp" in path.read_bytes()[:16]


def test_frames_are_bytes_of_the_figure(made_up, few):
    image = turning.turning({"sam": made_up["rise_area"]["sam"]}).images()[0]
    assert image.shape == (370, 400, 3) and image.dtype == np.uint8
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    assert (image == 255).mean() > 0.3

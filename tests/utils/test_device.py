"""Cards that are visible, by the names that a process is given them by."""

import pytest
import torch

from landscape.utils.device import cards_for, visible_cards


@pytest.fixture
def cards(monkeypatch):
    def there_are(count, chosen=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if chosen is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)

    return there_are


@pytest.mark.parametrize(
    ("count", "chosen", "expected"),
    [
        (0, None, []),
        (3, None, ["0", "1", "2"]),
        (2, "4, 6", ["4", "6"]),
        (1, "GPU-8932f937", ["GPU-8932f937"]),
        (1, "2,-1,3", ["2"]),
        (0, "", []),
    ],
)
def test_visible_cards(cards, count, chosen, expected):
    cards(count, chosen)
    assert visible_cards() == expected


def test_a_device_with_a_number_leaves_no_choice(cards):
    cards(3)
    assert cards_for("auto") == cards_for("cuda") == ["0", "1", "2"]
    assert cards_for("cuda:1") == cards_for("cpu") == []
    cards(0)
    assert cards_for("auto") == []

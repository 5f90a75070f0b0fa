"""Kernels for few classes: the numbers of torch's own, in every form that a loss may ask for."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.objective.few_classes import few_classes

G = torch.Generator().manual_seed(0)
X = torch.randn(80, 6, generator=G, dtype=torch.float64)
W = torch.randn(5, 6, generator=G, dtype=torch.float64)
BIAS = torch.randn(5, generator=G, dtype=torch.float64)
Y = torch.randint(0, 5, (80,), generator=G)

LOSSES = {
    "mean": {},
    "sum": {"reduction": "sum"},
    "each": {"reduction": "none"},
    "weighted": {"weight": BIAS.abs()},
    "smoothed": {"label_smoothing": 0.1},
    "ignored": {"ignore_index": 3},
}


@pytest.mark.parametrize("bias", [BIAS, None])
def test_a_narrow_layer(bias):
    expected = F.linear(X, W, bias)
    with few_classes():
        found = F.linear(X, W, bias)
        short = F.linear(X[:10], W, bias)
        batched = F.linear(X.view(8, 10, 6), W, bias)
    assert found.stride() == (1, 80) and short.is_contiguous()
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(short, expected[:10], rtol=0, atol=0)
    torch.testing.assert_close(batched.flatten(0, 1), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("options", LOSSES.values(), ids=LOSSES)
def test_cross_entropy(options):
    expected = F.cross_entropy(X @ W.T, Y, **options)
    with few_classes():
        found = [F.cross_entropy(X @ W.T, Y, **options), nn.CrossEntropyLoss(**options)(X @ W.T, Y)]
        of_layer = F.cross_entropy(F.linear(X, W), Y, **options)
    for value in (*found, of_layer):
        torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-13)


def test_probabilities_and_positions_go_to_torchs_own():
    soft, many = (X @ W.T).softmax(1), torch.randn(80, 5, 3, dtype=torch.float64, generator=G)
    labels = Y[:, None].expand(-1, 3)
    expected = F.cross_entropy(X @ W.T, soft), F.cross_entropy(many, labels)
    with few_classes():
        assert F.cross_entropy(X @ W.T, soft) == expected[0]
        assert F.cross_entropy(many, labels) == expected[1]


@pytest.mark.parametrize("raises", [False, True])
def test_torchs_own_come_back_and_derivatives_are_theirs(raises):
    before = F.linear, F.cross_entropy
    leaf = W.clone().requires_grad_()
    try:
        with few_classes():
            z = F.linear(X, leaf)
            assert z.is_contiguous()
            F.cross_entropy(z, Y).backward()
            if raises:
                raise KeyError
    except KeyError:
        pass
    assert (F.linear, F.cross_entropy) == before
    expected = X.T @ ((X @ W.T).softmax(1) - F.one_hot(Y, 5)) / 80
    torch.testing.assert_close(leaf.grad, expected.T, rtol=1e-12, atol=1e-14)


def test_other_threads_keep_torchs_numbers_and_leave_in_any_order():
    before, strides = (F.linear, F.cross_entropy), []
    inside, leave = threading.Event(), threading.Event()

    def other():
        strides.append(F.linear(X, W).stride())
        with few_classes():
            strides.append(F.linear(X, W).stride())
            inside.set()
            leave.wait(10)

    with few_classes():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
    try:
        strides.append(F.linear(X, W).stride())
    finally:
        leave.set()
        thread.join()
    assert strides == [(5, 1), (1, 80), (5, 1)]
    assert (F.linear, F.cross_entropy) == before

"""Modules that a loss runs beside the model: a teacher, a discriminator, a criterion."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook


@contextmanager
def outside_buffers_kept(model: nn.Module) -> Iterator[list[str]]:
    """While open, modules outside of the model may run; afterwards their buffers are as they were.
    Yields a list that then holds the classes of those whose buffers moved.
    """
    inside = {id(module) for module in model.modules()}
    kept: dict[int, tuple[nn.Module, str, Tensor, Tensor]] = {}
    moved: list[str] = []

    def hear(module: nn.Module, _: object) -> None:
        if id(module) not in inside:
            for key, b in module._buffers.items():
                if b is not None and id(b) not in kept:
                    kept[id(b)] = module, key, b, b.detach().clone()

    handle = register_module_forward_pre_hook(hear)
    try:
        yield moved
    finally:
        handle.remove()
        for module, key, b, value in kept.values():
            if module._buffers.get(key) is not b or not torch.equal(b, value):
                moved.append(type(module).__name__)
                module._buffers[key] = b
                with torch.no_grad():
                    b.copy_(value)

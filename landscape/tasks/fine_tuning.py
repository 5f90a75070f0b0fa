"""Tasks to pretrain and to fine-tune, fields of `Task` by name: two pairs that need no downloads.

The second of each pair starts from a run of the first: `--task digits-high --init runs/low`.
"""

from collections.abc import Mapping
from typing import Any

HEAD = {"init": {"drop": ("head.*",)}}  # of another task: drawn by the seed
ADAMW = {"training": {"lr": 1e-3, "weight_decay": 0.01}}
_BYTES = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01, "max_grad_norm": 1.0}
_SGD = {"training": {"optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-4}}
_SMALL = {"surface": {"size": 25}}

FINE_TUNING: dict[str, Mapping[str, Any]] = {
    "digits-low": {
        "summary": "the digits 0 to 4, small conv net, to be fine-tuned on digits-high",
        "model": "convnet",
        "model_settings": {"classes": 5},
        "data": "digits",
        "data_settings": {"classes": 5},
        "defaults": {"training": {"epochs": 15, "lr": 0.1}, "adamw": ADAMW},
    },
    "digits-high": {
        "summary": "the digits 5 to 9 from 50 labels, for a net pretrained on digits-low",
        "model": "convnet",
        "model_settings": {"classes": 5},
        "data": "digits",
        "data_settings": {"first": 5, "classes": 5, "labels": 50},
        "defaults": {
            "training": {"epochs": 30, "lr": 0.05},
            "data": {"batch_size": 10},
            "adamw": ADAMW,
            **HEAD,
        },
    },
    "pretrain-text": {
        "summary": "the text that ships with Python, byte model to be fine-tuned on finetune-text",
        "model": "language-model",
        "model_settings": {"width": 64},
        "data": "python-text",
        "defaults": {
            "training": {**_BYTES, "epochs": 6, "warmup": 0.05},
            "data": {"batch_size": 32, "held_out": 0.0},
            "sgd": _SGD,
        },
        "measures": {**_SMALL, "relative_flatness": {"draws": 25}},
        "measured": 50,
        "measured_at_once": 50,
    },
    "finetune-text": {
        "summary": "are the words of a text in their order? for a byte model from pretrain-text",
        "model": "sequence-classifier",
        "data": "intact-text",
        "defaults": {
            "training": {**_BYTES, "epochs": 4},
            "data": {"batch_size": 32},
            "sgd": _SGD,
            **HEAD,
        },
        "measures": _SMALL,
        "measured": 200,
        "measured_at_once": 100,
    },
    "rte-transformer": {
        "summary": "RTE from GLUE's tables, pairs of texts, transformer over their words",
        "model": "pair-transformer",
        "data": "rte",
        "defaults": {
            "training": {**_BYTES, "epochs": 10},
            "data": {"batch_size": 32},
            "sgd": _SGD,
        },
        "measures": _SMALL,
        "measured": 200,
        "measured_at_once": 100,
    },
}

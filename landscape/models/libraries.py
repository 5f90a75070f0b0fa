"""Networks of other libraries, by their names there, untrained: nothing is downloaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

from torch import Tensor, nn

from landscape.models.text_transformer import PADDING
from landscape.utils.network import offline
from landscape.utils.optional import optional


def torchvision_model(classes: int = 10, name: str = "resnet18", **settings: Any) -> nn.Module:
    """A network of torchvision, such as "resnet18" (ImageNet stem), "vgg16_bn", "densenet121".

    settings: keywords of the network's own factory.

    Raises ValueError where torchvision is missing (the extra `vision`) or does not know
    the network or a setting.
    """
    models = optional("torchvision.models", "vision")
    with _named("torchvision"):
        return models.get_model(
            name, **_untrained_backbone(models, name), weights=None, num_classes=classes, **settings
        )


def _untrained_backbone(models: Any, name: str) -> dict[str, None]:
    """The keyword of networks around another one, as of detection, whose default is weights."""
    parameters = signature(models.get_model_builder(name)).parameters
    return {"weights_backbone": None} if "weights_backbone" in parameters else {}


def timm_model(classes: int = 10, name: str = "vit_tiny_patch16_224", **settings: Any) -> nn.Module:
    """A network of timm, such as "vit_tiny_patch16_224", "convnext_tiny".

    settings: keywords of `timm.create_model`, as img_size=32, patch_size=4.

    Raises ValueError where timm is missing (the extra `vision`) or does not know
    the network or a setting.
    """
    timm = optional("timm", "vision")
    with _named("timm"):
        return timm.create_model(name, pretrained=False, num_classes=classes, **settings)


def transformers_model(classes: int = 2, name: str = "bert", **settings: Any) -> nn.Module:
    """A text classifier of transformers, such as "bert", "distilbert", "roberta".

    x: tokens (batch, length), int64, 0 for padding, which is masked.
    settings: of the network's configuration, as vocab_size=8192, hidden_size=64.

    Raises ValueError where transformers is missing (the extra `hf`) or does not know
    the network or a setting.
    """
    transformers = optional("transformers", "hf")
    with _named("transformers"):
        config = transformers.AutoConfig.for_model(
            name, num_labels=classes, pad_token_id=PADDING, **settings
        )
        return OfTokens(transformers.AutoModelForSequenceClassification.from_config(config))


@contextmanager
def _named(library: str) -> Iterator[None]:
    """Turn a library's error about a name or setting into one line that names the library."""
    try:
        with offline(library):
            yield
    except (TypeError, ValueError, RuntimeError) as error:
        first, *_ = str(error).splitlines() or [type(error).__name__]
        first = first.removeprefix(f"{library}: ")
        raise ValueError(f"{library}: {first.rstrip('.')}.") from error


class OfTokens(nn.Module):
    """A network of transformers as a function of the tokens alone that returns its logits."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, length) ↦ logits (batch, classes)."""
        return self.inner(input_ids=x, attention_mask=(x != PADDING).long()).logits

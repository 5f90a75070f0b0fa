"""The recipes of the page "Use a method in a trainer", run as they stand there: each ends at the
weights of a plain loop over `stepper.step(batch)`.
"""

import contextlib
import re
import textwrap
import warnings
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import StepLR

import landscape as ls

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "in-a-trainer.md"
SECTIONS = dict(
    re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
)
BEFORE = PAGE.read_text().partition("\n## ")[0]
METHODS = ["sam", "lookbehind", "msam"]


def code(text, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def recipe(heading, changes=(), **given):
    """Names after the page's snippet of a section, given the reader's.

    changes: (text, its replacement), as the page tells to change it.
    """
    for snippet in [*code(BEFORE), *code(SECTIONS[heading])]:
        for old, new in changes:
            snippet = snippet.replace(old, new)
        exec(compile(snippet, PAGE.name, "exec"), given)
    return SimpleNamespace(**given)


@contextlib.contextmanager
def their_warnings():
    """Warnings of the libraries are theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def library(name):
    with their_warnings():
        try:
            return pytest.importorskip(name, reason=f"{name} is not installed")
        except RuntimeError as error:  # torchvision for another torch
            pytest.skip(f"{name} does not load: {error}")


def loss(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def data(count=6, size=4):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count * size, 6, generator=generator, dtype=torch.float64)
    return x, torch.randint(3, (count * size,), generator=generator)


def loader(size=4):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), size)


def plain(net, method, steps, lr=0.1, gamma=1.0, every=1, clip=None, epochs=2):
    """A loop with momentum over groups of batches; the rate falls after `every` steps."""
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    stepper = ls.optim.wrap(method, net, optimizer, loss, max_grad_norm=clip)
    schedule = StepLR(optimizer, every, gamma=gamma)
    for _ in range(epochs):
        for step in steps:
            stepper.step(step)
            schedule.step()
    return stepper


def assert_same(net, expected):
    for p, q in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)
        assert p.requires_grad and p.grad is None


# --- Hugging Face Trainer


class Answer(nn.Module):
    """A network that answers as transformers' do."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, labels):
        from transformers.modeling_outputs import SequenceClassifierOutput

        logits = self.net(x)
        return SequenceClassifierOutput(loss=F.cross_entropy(logits, labels), logits=logits)


class Examples(torch.utils.data.Dataset):
    def __len__(self):
        return len(data()[0])

    def __getitem__(self, i):
        x, y = data()
        return {"x": x[i], "labels": y[i]}


def trainer_arguments(folder, **options):
    from transformers import TrainingArguments

    return TrainingArguments(
        **{
            "output_dir": str(folder), "num_train_epochs": 2, "use_cpu": True,
            "learning_rate": 0.1, "lr_scheduler_type": "linear", "optim": "sgd",
            "optim_args": "momentum=0.9", "report_to": [], "disable_tqdm": True,
            "logging_steps": 1, "save_strategy": "no", **options,
        }
    )  # fmt: skip


def sharp_trainer(model, examples, folder, changes=(), method="sam", resume=None, **options):
    """The page's class, trained on the examples in their order."""
    made = recipe("Hugging Face Trainer", changes, method=method)
    made.SharpTrainer.get_train_dataloader = lambda self: self.accelerator.prepare(
        torch.utils.data.DataLoader(self.train_dataset, 4)
    )
    arguments = trainer_arguments(folder, **options)
    trainer = made.SharpTrainer(model=model, args=arguments, train_dataset=examples)
    trainer.train(resume_from_checkpoint=resume and str(resume))
    return trainer


def entries(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_hugging_face_trainer(method, accumulate, small_net, tmp_path):
    library("transformers")
    net, expected = Answer(small_net()), small_net()
    options = {"gradient_accumulation_steps": accumulate, "max_grad_norm": 0.3}
    with their_warnings():
        trainer = sharp_trainer(net, Examples(), tmp_path, method=method, **options)
    batches = [ls.Batch(x, y) for x, y in loader()]
    steps = [batches[i : i + accumulate] for i in range(0, len(batches), accumulate)]
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9)
    stepper = ls.optim.wrap(method, expected, optimizer, loss, max_grad_norm=0.3)
    total, losses = 2 * len(steps), []
    for i in range(total):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - i / total)
        losses.append(stepper.step(steps[i % len(steps)]).item())
    assert_same(net.net, expected)
    assert trainer.state.global_step == total
    assert entries(trainer, "loss") == pytest.approx(losses, abs=1e-4)
    assert set(entries(trainer, "grad_norm")) == {0.0}


@pytest.mark.slow
def test_hugging_face_trainer_in_bfloat16(small_net, tmp_path):
    library("transformers")
    net, expected = Answer(small_net().float()), small_net().float()
    examples = [{"x": x.float(), "labels": y} for x, y in zip(*data(), strict=True)]
    half = [("max_grad_norm=clip", "max_grad_norm=clip, autocast=torch.bfloat16")]
    options = {"bf16": True, "max_grad_norm": 0.0, "lr_scheduler_type": "constant"}
    with their_warnings():
        sharp_trainer(net, examples, tmp_path, half, **options)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9)
    stepper = ls.optim.wrap("sam", expected, optimizer, loss, autocast=torch.bfloat16)
    for x, y in [*loader(), *loader()]:
        stepper.step((x.float(), y))
    for p, q in zip(net.net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_hugging_face_trainer_resumes(small_net, tmp_path):
    """With dropout, whose masks belong to the step."""
    library("transformers")
    whole, stopped = (Answer(small_net(dropout=0.5)) for _ in range(2))
    options = {"save_strategy": "steps", "save_steps": 5, "num_train_epochs": 2}
    with their_warnings():
        sharp_trainer(whole, Examples(), tmp_path, **options)
        sharp_trainer(stopped, Examples(), tmp_path, resume=tmp_path / "checkpoint-5", **options)
    assert_same(stopped, whole)


class Tokens(nn.Module):
    """A language model: the loss is the mean over targets, one place on, that are not -100."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Embedding(7, 5), nn.Tanh(), nn.Linear(5, 7)).double()

    def forward(self, input_ids, labels):
        from transformers.modeling_outputs import CausalLMOutput

        logits = self.net(input_ids)
        targets = labels[:, 1:].flatten()
        value = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets, ignore_index=-100)
        return CausalLMOutput(loss=value, logits=logits)


@pytest.mark.slow
def test_hugging_face_trainer_counts_tokens(tmp_path):
    """Two batches of unequal numbers of tokens are one large batch."""
    library("transformers")
    words = torch.randint(7, (24, 6), generator=torch.Generator().manual_seed(1))
    targets = words.clone()
    for i in range(24):
        targets[i, : i % 5] = -100
    examples = [{"input_ids": a, "labels": b} for a, b in zip(words, targets, strict=True)]
    (weighted,) = re.findall(r"`(ls\.Batch\(inputs,.*?)`", SECTIONS["Hugging Face Trainer"])
    changes = [
        ("self.batches.append(self._prepare_inputs(inputs))",
         f"inputs = self._prepare_inputs(inputs); self.batches.append({weighted})"),
    ]  # fmt: skip
    net, expected = Tokens(), Tokens()
    options = {"gradient_accumulation_steps": 2, "lr_scheduler_type": "constant"}
    with their_warnings():
        sharp_trainer(net, examples, tmp_path, changes, max_grad_norm=0.0, **options)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9)
    stepper = ls.optim.wrap("sam", expected, optimizer, lambda m, b: m(b.x, b.y).loss)
    for i in [0, 8, 16] * 2:
        stepper.step((words[i : i + 8], targets[i : i + 8]))
    assert_same(net, expected)


# --- Lightning


def lightning_trainer(folder, **options):
    import lightning

    return lightning.Trainer(
        **{
            "max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
            "enable_model_summary": False, "enable_checkpointing": False,
            "default_root_dir": str(folder), "num_sanity_val_steps": 0, **options,
        }
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_lightning_manual(method, small_net, tmp_path):
    library("lightning")
    net, expected = small_net(), small_net()
    with their_warnings():
        module = recipe("Lightning, manual optimisation", method=method).Manual(net)
        trainer = lightning_trainer(tmp_path)
        trainer.fit(module, loader())
        assert trainer.global_step == 12
        kept = tmp_path / "kept.ckpt"
        trainer.save_checkpoint(kept)
    plain(expected, method, list(loader()), clip=1.0)
    assert_same(net, expected)
    with their_warnings():
        again = recipe("Lightning, manual optimisation", method=method).Manual(small_net())
        lightning_trainer(tmp_path, max_epochs=3).fit(again, loader(), ckpt_path=kept)
        module.trainer = None
    longer = small_net()
    assert_same(again.net, (plain(longer, method, list(loader()), clip=1.0, epochs=3), longer)[1])
    assert again.stepper.walker.step_index == 18


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sam", "lookbehind"])
def test_lightning_automatic(method, small_net, tmp_path):
    library("lightning")
    net, expected = small_net(), small_net()
    with their_warnings():
        module = recipe("Lightning, automatic optimisation", method=method).Automatic(net)
        trainer = lightning_trainer(tmp_path)
        trainer.fit(module, loader())
    stepper = plain(expected, method, list(loader()), gamma=0.5, every=6, clip=1.0)
    assert_same(net, expected)
    assert trainer.global_step == 12
    assert trainer.callback_metrics["loss"].item() == pytest.approx(stepper.walker.step_loss.item())


@pytest.mark.slow
def test_lightning_automatic_refuses_what_cannot_work(small_net, tmp_path):
    library("lightning")
    build = "Lightning, automatic optimisation"
    with their_warnings():
        for method in ("msam", "fam", "aace"):
            module = recipe(build, method=method).Automatic(small_net())
            with pytest.raises(ValueError, match="cannot step on a closure"):
                lightning_trainer(tmp_path).fit(module, loader())
        module = recipe(build, method="sam").Automatic(small_net())
        with pytest.raises(ValueError, match=r"Gradients lie in `.grad` already"):
            lightning_trainer(tmp_path, accumulate_grad_batches=2).fit(module, loader())
        from lightning.pytorch.plugins import MixedPrecision

        half = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
        module = recipe(build, method="sam").Automatic(small_net().float())
        pairs = [(x.float(), y) for x, y in loader()]
        with pytest.raises(ValueError, match="A GradScaler cannot drive this step"):
            lightning_trainer(tmp_path, plugins=[half]).fit(
                module, torch.utils.data.DataLoader(pairs, None)
            )


@pytest.mark.slow
def test_lightning_in_bfloat16(small_net, tmp_path):
    """Each pass of the closure runs under autocast, at the weights where it is."""
    library("lightning")
    x, y = data()
    pairs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x.float(), y), 4)
    net, expected = small_net().float(), small_net().float()
    with their_warnings():
        module = recipe("Lightning, automatic optimisation", method="sam").Automatic(net)
        lightning_trainer(tmp_path, precision="bf16-mixed", max_epochs=1).fit(module, pairs)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9)
    stepper = ls.optim.wrap(
        "sam", expected, optimizer, loss, max_grad_norm=1.0, autocast=torch.bfloat16
    )
    for pair in pairs:
        stepper.step(pair)
    for p, q in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


# --- accelerate


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_accelerate(method, small_net, tmp_path, monkeypatch):
    accelerate = library("accelerate")
    accelerate.state.AcceleratorState._reset_state(True)
    net, expected = small_net(), small_net()
    with their_warnings():
        made = recipe("Accelerate", method=method, net=net, loader=loader())
        made.accelerator.save_state(tmp_path)
    stepper = plain(expected, method, list(loader()), gamma=0.5, every=6)
    assert_same(net, expected)
    assert made.value.item() == pytest.approx(stepper.walker.step_loss.item())
    made.stepper.walker.step_index = 99
    with their_warnings():
        made.accelerator.load_state(tmp_path)
    assert made.stepper.walker.step_index == 12


@pytest.mark.slow
def test_accelerate_accumulates_by_lists_alone(small_net):
    accelerate = library("accelerate")
    accelerate.state.AcceleratorState._reset_state(True)
    net, expected = small_net(), small_net()
    with their_warnings():
        accelerator = accelerate.Accelerator()
        sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        stepper = ls.optim.wrap("sam", net, sgd, loss)
        accelerator.prepare(stepper)
        batches = iter(loader())
        for _ in range(3):
            stepper.step(islice(batches, 2))
    plain(expected, "sam", [[ls.Batch(*a), ls.Batch(*b)] for a, b in pairs_of(loader())], epochs=1)
    assert_same(net, expected)


def pairs_of(batches):
    batches = list(batches)
    return list(zip(batches[::2], batches[1::2], strict=True))


# --- timm


def added(diff):
    return textwrap.dedent(
        "".join(line[1:] for line in diff.splitlines(keepends=True) if line.startswith("+"))
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_timm(method, small_net):
    """The lines that the page adds, among those of train.py around them."""
    library("timm")
    with their_warnings():
        from timm.optim import create_optimizer_v2
        from timm.scheduler import create_scheduler_v2
        from timm.task import ClassificationTask

        net, expected = small_net(), small_net()
        task = ClassificationTask(model=net, criterion=nn.CrossEntropyLoss(), verbose=False)
        model = task.get_trainable_module()
        given = {
            "task": task, "model": model, "args": SimpleNamespace(clip_grad=0.3),
            "optimizer": create_optimizer_v2(model, opt="momentum", lr=0.1, weight_decay=0.0),
        }  # fmt: skip
        wrap, step = map(added, code(SECTIONS["timm's train script"], "diff"))
        exec(wrap.replace('"sam"', f'"{method}"'), given)
        schedule, _ = create_scheduler_v2(
            given["optimizer"], sched="step", num_epochs=2, decay_epochs=1, decay_rate=0.5
        )
        for epoch in range(2):
            for given["input"], given["target"] in loader():
                exec(step, given)
            schedule.step(epoch + 1)
    plain(expected, method, list(loader()), gamma=0.5, every=6, clip=0.3)
    assert_same(net, expected)

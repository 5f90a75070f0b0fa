"""
A loss over whole batches: segmentation
=======================================

Most losses are means over examples. The Dice loss is not: it compares sums over all pixels of a
batch, so half a batch has another loss. Measures then take whole batches, and the score is the mean
IoU instead of the accuracy. Here a small U-Net finds digits on a noisy canvas.
"""

# %%
# An image, and its classes: background, a digit from 0 to 4, a digit from 5 to 9.

import torch
from matplotlib.figure import Figure

import landscape as ls
from landscape import plots
from landscape.data.canvas_digits import load
from landscape.models import unet
from landscape.tasks.losses import Dice

torch.set_num_threads(1)
data, dice = load(), Dice()
x, y = data.train_x[:192], data.train_y[:192]

# %%
# SGD and SAM, eight epochs of six batches each.


def trained(method):
    """The same start and the same order for both."""
    torch.manual_seed(0)
    model = unet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    stepper = ls.optim.wrap(method, model, optimizer, dice)
    for _ in range(8):
        for rows in torch.randperm(len(x)).split(32):
            stepper.step((x[rows], y[rows]))
    return model.eval()


networks = {method: trained(method) for method in ("sgd", "sam")}

# %%
# What they name in test images.


def pictures():
    """Four test images, their classes, and those that the network named."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    for column, row in enumerate(figure.subplots(3, 4).T):
        image, truth = data.test_x[column], data.test_y[column]
        with torch.no_grad():
            named = networks["sgd"](image[None])[0].argmax(-1)
        shown = {"image": (image[0], "gray"), "true": (truth, "viridis"), "SGD": (named, "viridis")}
        for ax, (title, (pixels, colours)) in zip(row, shown.items(), strict=True):
            ax.imshow(pixels, cmap=colours, vmin=0, vmax=1 if title == "image" else 2)
            ax.set(xticks=[], yticks=[], title=title if column == 0 else "")
    return figure


pictures()

# %%
# Noise on the weights. An objective on batches of 32, the size that was trained with: the axis says
# mean IoU, since the loss names it as its score.

pieces = [(data.test_x[i : i + 32], data.test_y[i : i + 32]) for i in range(0, 128, 32)]
objectives = {name: ls.Objective(model, pieces, dice) for name, model in networks.items()}
measure = ls.measures.NoiseRobustness(sigmas=(0.0, 0.05, 0.1, 0.2), draws=3)
noise = {name: measure(objective) for name, objective in objectives.items()}
plots.noise(noise)

# %%
# One seed and eight epochs: that decides nothing between the methods. Background everywhere, which
# is right at 93 % of the pixels, has a mean IoU of 0.31.

for name, objective in objectives.items():
    print(
        f"{name}: Dice loss {objective.value():.3f}, {objective.score} {objective.accuracy():.3f}"
    )

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Classify pictures on a Raspberry Pi 4
#
# A small network is trained on handwritten digits, deployed, and run here as the device will run it. The tutorial
# *Classify pictures* says more of each step.

# %%
import torch
from sklearn.datasets import load_digits
from torch import nn

import edgeopt

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target)

# %%
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(8):
    for picked in torch.randperm(1400).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[picked]), labels[picked]).backward()
        optimizer.step()
model.eval()


def accuracy(fn):
    return float((fn(images[1400:]).argmax(1) == labels[1400:]).float().mean())


accuracy(model)

# %% [markdown]
# ## Deploy
# `accuracy` is called with the float model and with the file that the device will run.

# %%
deployment = edgeopt.deploy(
    model,
    "rpi4",
    example_inputs=images[:1],
    calibration_data=images[:100].split(1),
    evaluate=accuracy,
    max_drop=0.01,
    output="digits",
)
print(deployment)

# %% [markdown]
# ## Run it

# %%
run = edgeopt.load("digits")
scores = run(images[-1:].numpy())
print(f"it shows a {labels[-1]}, and the bundle says {scores.argmax()}")

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What a report says, as data
#
# A deployment prints as text; everything in it is data too. Here three precisions of one model side by side.

# %%
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

import edgeopt

torch.manual_seed(0)
table = load_breast_cancer()
rows = torch.tensor(table.data, dtype=torch.float32)
rows = (rows - rows.mean(0)) / rows.std(0)
labels = torch.tensor(table.target)
model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(rows[:400]), labels[:400]).backward()
    optimizer.step()
model.eval()


def accuracy(fn):
    return float((fn(rows[400:]).argmax(1) == labels[400:]).float().mean())


# %%
deployments = {
    precision: edgeopt.deploy(
        model,
        "rpi4",
        precision=precision,
        example_inputs=rows[:1],
        calibration_data=rows[:100].split(1),
        evaluate=accuracy,
        checks=edgeopt.Checks(speed=False),
        output=precision,
    )
    for precision in ("int8", "int8-dynamic", "float32")
}
for precision, deployment in deployments.items():
    size = deployment.bundle.size_bytes
    print(f"{precision:>12}: score {deployment.accuracy.value:.4f}, bundle {size / 1024:.0f} KiB")

# %% [markdown]
# ## Parity
# The artefact beside the reference's integers, and what is left of the float model's output.

# %%
deployments["int8"].accuracy

# %%
deployments["int8"].parity

# %% [markdown]
# ## Why is something float, what was odd

# %%
for step in deployments["int8"].program.history:
    print(step.name, step.effect)
deployments["int8"].warnings

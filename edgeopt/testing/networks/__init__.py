"""Random small networks through the whole of `edgeopt.deploy`, against torch.

`generate` makes one of a seed, `Bench` deploys it and says what came of that (several `side_by_side` in
one program), `shrink` makes it as small as it can be and still fail. All of it: ``scripts/networks.py``.
"""

from edgeopt.testing.networks.examine import Bench, Outcome
from edgeopt.testing.networks.generate import generate
from edgeopt.testing.networks.network import Input, Network, Step, side_by_side
from edgeopt.testing.networks.shrink import shrink

__all__ = ["Bench", "Input", "Network", "Outcome", "Step", "generate", "shrink", "side_by_side"]

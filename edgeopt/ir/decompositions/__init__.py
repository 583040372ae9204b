"""How operators are decomposed into simpler ones, at capture and where a runtime has no kernel.

The canonical set is closed: what torch calls and the table of operators has no row for is written in
terms of others, by a rule of torch's own or of this package. What has a kernel of its own in runtimes has
a row and stays: a graph of the parts of `layer_norm` would be slower and rounded in more places.
"""

from edgeopt.ir.decompositions import writes
from edgeopt.ir.decompositions.decomposition_rules import decompositions, fallback_decompositions

__all__ = ["decompositions", "fallback_decompositions", "writes"]

"""The rules, by what operators do; importing this package enters them into the table."""

from edgeopt_micro.operators import elementwise, ordering, products, reductions, views, weighted

__all__ = ["elementwise", "ordering", "products", "reductions", "views", "weighted"]

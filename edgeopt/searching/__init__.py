"""Looks for the best compression under a budget: `edgeopt.search`."""

from edgeopt.searching.budget import Budget
from edgeopt.searching.configuration import Configuration
from edgeopt.searching.result import SearchResult
from edgeopt.searching.trials import SearchEvent, Trial

__all__ = ["Budget", "Configuration", "SearchEvent", "SearchResult", "Trial"]

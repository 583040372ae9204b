"""Source text of an application around one bundle: what lies before and after the network, and the call."""

from edgeopt.codegen.facts import LANGUAGES
from edgeopt.codegen.project import Project, application, write_application

__all__ = ["LANGUAGES", "Project", "application", "write_application"]

"""What every bundle carries besides the model: ``run.py`` and the package ``edgeopt_runner``."""

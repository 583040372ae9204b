"""edgeopt beside its peers: models, environments, measurements and the table that `peers.py` runs and writes."""

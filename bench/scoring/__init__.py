"""The scoring server beside its peers: the same model in each, driven in turn, compared as ratios of one run."""

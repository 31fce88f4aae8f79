"""Turn-over dropout: the mask that an example trains, the mask that never saw it, and their difference."""

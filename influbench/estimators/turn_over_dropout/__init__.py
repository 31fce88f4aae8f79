"""Turn-over dropout: the difference between the mask that an example trains and the mask that never saw it."""

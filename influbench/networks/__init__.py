"""Running many networks at a time: replicas, masks, and crossed outputs. This package does not train."""

"""How networks run, many at a time: replicas, masks, and crossed outputs. Knows nothing of learning."""

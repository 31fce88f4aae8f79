"""Files on disk: arrays as safetensors, always written whole, never pickled."""

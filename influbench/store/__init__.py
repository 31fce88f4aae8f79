"""What is written to disk: arrays as safetensors, always whole, never as pickle."""

"""What really happens when training examples are left out."""

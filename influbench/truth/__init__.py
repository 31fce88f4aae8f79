"""The ground truth: the measured effects of leaving out training examples."""

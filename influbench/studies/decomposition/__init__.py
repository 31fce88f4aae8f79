"""The study of the parts that turn-over dropout's scores are made of."""

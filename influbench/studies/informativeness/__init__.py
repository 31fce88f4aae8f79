"""Are correct difficult examples more informative than easy ones?

Groups of train points of the same size (the hardest and the easiest of those whose label is right, the hardest of those
whose label is wrong, and random ones of the right) are taken out of the training, and trained on alone. What is
informative is what the test points miss: with f_D the training on all and f_D-G that without group G,

    drop = (measure(f_D) - measure(f_D-G)) / |G|,

averaged over test points and seeds; positive where the group helps. All trainings of one seed share initial parameters
and batches, take the same number of steps, and divide the loss of a batch by the examples that are left in it.
"""

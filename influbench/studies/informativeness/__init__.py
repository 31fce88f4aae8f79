"""The study of whether correct difficult examples are more informative than easy ones.

Groups of train points of the same size are removed from the training, and trained on alone: the hardest and the easiest
points with a right label, the hardest points with a wrong label, and random points with a right label. A group is
informative if the test points miss it. With f_D the training on all points and f_D-G the training without group G,

    drop = (measure(f_D) - measure(f_D-G)) / |G|,

averaged over test points and seeds, is positive where the group helps. All trainings of one seed share initial
parameters and batches, take the same number of steps, and divide the loss of a batch by the number of examples left.
"""

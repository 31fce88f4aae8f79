"""Which of several things, each with a cost and a value, are worth their cost."""

from collections.abc import Sequence


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Numbers of those that nothing else beats in value at no higher cost or in cost at no lower value, cheapest first.

    Of equal ones all are on the front.
    """
    front: list[int] = []
    best, cost_of_best = float("-inf"), float("-inf")
    for number in sorted(range(len(costs)), key=lambda number: (costs[number], -values[number])):
        if values[number] > best or (values[number], costs[number]) == (best, cost_of_best):
            front.append(number)
            best, cost_of_best = values[number], costs[number]
    return front

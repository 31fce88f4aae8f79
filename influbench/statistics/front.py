"""The Pareto front of cost and value."""

from collections.abc import Sequence


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the entries on the front, cheapest first; equal entries are all on it.

    No other entry has a higher value at the same or a lower cost, or a lower cost at the same or a higher value.
    """
    front: list[int] = []
    best, cost_of_best = float("-inf"), float("-inf")
    for number in sorted(range(len(costs)), key=lambda number: (costs[number], -values[number])):
        if values[number] > best or (values[number], costs[number]) == (best, cost_of_best):
            front.append(number)
            best, cost_of_best = values[number], costs[number]
    return front

"""The Pareto front against its definition."""

from hypothesis import given
from hypothesis import strategies as st

from influbench.statistics.front import pareto_front

_SMALL = st.integers(0, 5)


@given(st.lists(st.tuples(_SMALL, _SMALL), max_size=12))
def test_the_front_is_what_nothing_else_beats(points: list[tuple[int, int]]) -> None:
    costs, values = [cost for cost, _ in points], [value for _, value in points]
    unbeaten = {
        number
        for number, (cost, value) in enumerate(points)
        if not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points)
    }
    front = pareto_front(costs, values)
    assert set(front) == unbeaten
    assert len(front) == len(unbeaten)
    assert [costs[number] for number in front] == sorted(costs[number] for number in front)

"""Times read off curves: known to be right where a curve is known, and undefined where there are none."""

import pytest
import torch
from torch import Tensor

from influbench.statistics.learning_curves import gained, initial_slope, overlap, time_of, value_at

STEPS = (0, 2, 6, 10)


def curve(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_times_lie_on_straight_lines_between_steps() -> None:
    rising = curve(0.1, 0.2, 0.6, 1.1)
    assert time_of(STEPS, rising, 0.05) == pytest.approx(1.0)
    assert time_of(STEPS, rising, 0.1) == pytest.approx(2.0)
    assert time_of(STEPS, rising, 0.5) == pytest.approx(6.0)
    assert time_of(STEPS, rising, 1.0) == pytest.approx(10.0)
    assert value_at(STEPS, rising, curve(8.0)[0]) == pytest.approx(0.85)
    assert value_at(STEPS, rising, curve(0.0)[0]) == pytest.approx(0.1)


def test_the_first_crossing_counts_where_a_curve_falls_again() -> None:
    assert time_of(STEPS, curve(0, 0.8, 0.3, 1.0), 0.5) == pytest.approx(2 * 0.5 / 0.8)
    assert time_of(STEPS, curve(0.5, 0.1, 0.5, 1.5), 0.5) == pytest.approx(8.0)


def test_a_curve_without_a_gain_has_no_times() -> None:
    for flat in (curve(0.3, 0.9, 0.9, 0.3), curve(0.5, 0.4, 0.3, 0.2)):
        assert gained(flat).isnan().all()
        assert time_of(STEPS, flat, 0.5).isnan()
        assert overlap(STEPS, flat, curve(0, 1, 2, 3), tail=0.1).isnan()
        assert overlap(STEPS, curve(0, 1, 2, 3), flat, tail=0.1).isnan()


def test_stacked_curves_are_read_one_by_one() -> None:
    stacked = torch.rand(5, 3, len(STEPS), dtype=torch.float64).cumsum(-1)
    times = time_of(STEPS, stacked, 0.3)
    assert times.shape == (5, 3)
    assert times[4, 1] == time_of(STEPS, stacked[4, 1], 0.3)


@pytest.mark.parametrize("tail", [0.05, 0.1, 0.3])
def test_overlap_reaches_from_0_one_after_the_other_to_the_whole_window(tail: float) -> None:
    early, late = curve(0, 1, 1, 1), curve(0, 0, 0, 1)
    assert overlap(STEPS, early, early, tail=tail) == pytest.approx(1 - 2 * tail)
    assert overlap(STEPS, 5 * early + 2, early, tail=tail) == pytest.approx(1 - 2 * tail)
    assert overlap(STEPS, early, late, tail=tail) == pytest.approx(0)
    assert overlap(STEPS, late, early, tail=tail) == pytest.approx(0)


def test_overlap_is_read_at_the_first_ones_times() -> None:
    first, second = curve(0, 0, 1, 1), curve(0, 1, 2, 4)  # from 10 % to 90 % in steps 2.4 to 5.6
    assert overlap(STEPS, first, second, tail=0.1) == pytest.approx((1.9 - 1.1) / 4)


def test_slopes_are_per_step_and_have_a_sign() -> None:
    assert initial_slope(STEPS, curve(0.1, 0.3, 0.5, 0.9), until=4) == pytest.approx((0.4 - 0.1) / 4)
    assert initial_slope(STEPS, curve(0.1, 0.0, 0.5, 0.9), until=1) == pytest.approx(-0.05)
    stacked = torch.rand(5, 3, len(STEPS), dtype=torch.float64)
    slopes = initial_slope(STEPS, stacked, until=2)
    torch.testing.assert_close(slopes, (stacked[..., 1] - stacked[..., 0]) / 2)

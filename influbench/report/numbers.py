"""Numbers as words: short enough for a table, and never more certain than they are."""

from influbench.results import Statistic

DASH = "-"


def decimal(value: float | None) -> str:
    """To two digits behind the point, without a leading zero: ".55", "-.03", "1.00"; less behind from 10 on: "12.3"."""
    if value is None:
        return DASH
    if abs(value) >= 9.995:
        return f"{value:.1f}" if abs(value) < 99.95 else f"{value:,.0f}"
    text = f"{value:.2f}".replace("-0.00", "0.00")
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def effect(value: float) -> str:
    """A score in its own unit, with its sign, to two digits: "+.021", "-1.3e-05", "+12"."""
    text = f"{value:+.2g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and "e" not in text else text


def interval(statistic: Statistic) -> str:
    """The 95% interval in brackets."""
    if statistic.low is None or statistic.high is None:
        return ""
    return f"[{decimal(statistic.low)}, {decimal(statistic.high)}]"


def share(statistic: Statistic) -> str:
    """A fraction as a percentage."""
    return "" if statistic.value is None else f"{round(100 * statistic.value)}%"  # an int: never -0


def seconds(value: float | None) -> str:
    """A duration: "< 0.1 s", "0.3 s", "12 s", "3 min 20 s", "2 h 05 min"."""
    if value is None:
        return DASH
    if value < 0.05:
        return "< 0.1 s"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(n_bytes: int) -> str:
    """A number of bytes: "12 kB", "340 MB", "2.1 GB"."""
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:.0f} kB"
    return f"{n_bytes / 1e6:,.0f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"


def trainings(value: float | None) -> str:
    """A cost in training-run equivalents."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def count(n: int, noun: str) -> str:
    """A number with its noun: "1 seed", "2,440 trainings"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"

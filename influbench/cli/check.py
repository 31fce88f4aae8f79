"""`influbench check`."""

from collections.abc import Callable

import click


@click.command("check", short_help="Check a plugin against its contract.")
@click.argument("words", nargs=-1, required=True, metavar="[KIND] NAME[PARAMETER=VALUE]")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Largest difference between scores that must agree, as a share of an estimator's largest score.  [1e-4]",
)
@click.option("-d", "--dataset", metavar="NAME", help="Data set to check a model on.  [small ones of influbench]")
@click.option("-m", "--model", metavar="NAME", help="Model to train on a data set.  [none]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_command(
    words: tuple[str, ...], tolerance: float | None, dataset: str | None, model: str | None, as_json: bool
) -> None:
    """Check a plugin, for instance an estimator, against the contract of its kind. Exit code 1 if it fails a check.

    The same checks are in `influbench.testing`, for a plugin's own tests.
    """
    from influbench.cli.names import chosen_kind
    from influbench.errors import with_article
    from influbench.registry import NOUNS, ROLES, Kind, installed, parse_selector
    from influbench.report.checks import print_checks
    from influbench.report.console import Console
    from influbench.results import CheckedPlugin, to_json
    from influbench.testing import (
        Check,
        dataset_checks,
        estimator_checks,
        executor_checks,
        judge_checks,
        model_checks,
        optimizer_checks,
        schedule_checks,
    )

    *kinds, selector = words
    registry, name = installed(), parse_selector(selector).name
    known = {kind: registry.names_with(kind, name) for kind in ROLES}
    kind = chosen_kind(name, kinds, known, command="check", excuse=registry.excuse())
    options: dict[Kind, tuple[str, object]] = {
        "estimator": ("tolerance", tolerance), "model": ("dataset", dataset), "dataset": ("model", model)
    }  # fmt: skip
    for of, (option, value) in options.items():
        if value is not None and of != kind:
            raise click.UsageError(
                f"--{option} is only for {ROLES[of].nouns}, but {name} is {with_article(NOUNS[kind])}"
            )
    of_kind: dict[Kind, Callable[..., list[Check]]] = {
        "estimator": estimator_checks,
        "model": model_checks,
        "dataset": dataset_checks,
        "judge": judge_checks,
        "optimizer": optimizer_checks,
        "schedule": schedule_checks,
        "executor": executor_checks,
    }
    if kind not in of_kind:
        raise click.UsageError(f"{name} is {with_article(NOUNS[kind])}; influbench has checks for {', '.join(of_kind)}")
    option, value = options.get(kind, ("", None))
    checks = of_kind[kind](selector, **({} if value is None else {option: value}))
    checked = CheckedPlugin(
        kind=kind,
        name=selector,
        distribution=str(registry.entry(kind, name).distribution),
        outcomes=tuple(check.outcome() for check in checks),
    )
    if as_json:
        click.echo(to_json(checked))
    else:
        print_checks(Console(), checked)
    if any(outcome.status == "failed" for outcome in checked.outcomes):
        raise click.exceptions.Exit(1)

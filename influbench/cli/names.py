"""The kind of thing that a user means by a name."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TypeVar

import click

from influbench.errors import UnknownNameError, did_you_mean, with_article

K = TypeVar("K", bound=str)


def chosen_kind(name: str, kinds: Sequence[str], known: Mapping[K, Sequence[str]], *, command: str, excuse: str) -> K:
    """The one kind in which `name` is `known`, among `kinds` if the user gave one.

    `excuse` ends the error sentence if no known name is similar.
    """
    if len(kinds) > 1 or (kinds and kinds[0] not in known):
        raise click.UsageError(f"write `influbench {command} NAME` or `influbench {command} {'|'.join(known)} NAME`")
    asked = {kind: names for kind, names in known.items() if kind in (kinds or known)}
    found = [kind for kind, names in asked.items() if name in names]
    if not found:
        elsewhere = [with_article(kind) for kind, names in known.items() if name in names]
        close = did_you_mean(name, list(chain(*asked.values())))
        hint = f"; it is {' and '.join(elsewhere)}" if elsewhere else close or excuse
        raise UnknownNameError(f"unknown {kinds[0] if kinds else 'name'} {name!r}{hint}")
    if len(found) > 1:
        both = " and ".join(map(with_article, found))
        raise click.UsageError(f"{name!r} names {both}; write `influbench {command} {found[0]} {name}`")
    return found[0]

"""Which thing a user means by a name."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import click

from influbench.errors import UnknownNameError, did_you_mean

K = TypeVar("K", bound=str)


def kind_of(name: str, kinds: Sequence[str], known: Mapping[K, Sequence[str]], *, command: str, excuse: str) -> K:
    """The one kind in which `name` is `known`, among `kinds` if the user gave one.

    `excuse` ends the sentence on a name that nothing is like.
    """
    if len(kinds) > 1 or (kinds and kinds[0] not in known):
        raise click.UsageError(f"write `influbench {command} NAME` or `influbench {command} {'|'.join(known)} NAME`")
    asked = {kind: names for kind, names in known.items() if kind in (kinds or known)}
    found = [kind for kind, names in asked.items() if name in names]
    if not found:
        elsewhere = " and a ".join(kind for kind, names in known.items() if name in names)
        close = did_you_mean(name, [other for names in asked.values() for other in names])
        hint = f"; it is a {elsewhere}" if elsewhere else close or excuse
        raise UnknownNameError(f"unknown {kinds[0] if kinds else 'name'} {name!r}{hint}")
    if len(found) > 1:
        raise click.UsageError(
            f"{name!r} names a {' and a '.join(found)}; write `influbench {command} {found[0]} {name}`"
        )
    return found[0]

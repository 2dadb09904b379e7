"""Names of another program, changed as the user says: whole parts at their beginning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netspec.errors import Mistake, WeightsError, nearest


def renamed(names: Iterable[str], rename: Mapping[str, str]) -> dict[str, str]:
    """New names by old ones. `{"model.head": "fc"}` makes `fc.weight` of `model.head.weight`; the longest that fits
    counts, and an empty new one takes the parts away.

    A WeightsError where one fits no name, or where two names become one.
    """
    found: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        old = max((old for old in rename if name == old or name.startswith(f"{old}.")), key=len, default=None)
        new = name
        if old is not None:
            used.add(old)
            new = f"{rename[old]}{name[len(old) :]}" if rename[old] else name[len(old) + 1 :]
        found[name] = new
    mistakes = [Mistake(f"rename: nothing is called {old}{nearest(old, found)}") for old in rename if old not in used]
    seen: dict[str, str] = {}
    for name, new in found.items():
        if new in seen and used:
            mistakes.append(Mistake(f"rename: {seen[new]} and {name} would both be called {new or 'nothing'}"))
        seen[new] = name
    if mistakes:
        raise WeightsError(mistakes)
    return found

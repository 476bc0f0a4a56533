"""What the experiments share: the check of their counts."""

from __future__ import annotations

from typing import Any

from initcore import _checks


def counts(**values: Any) -> list[int]:
    """Return the arguments, each an integer of at least 1, in their order."""
    return [_checks.integer(name, value, at_least=1) for name, value in values.items()]

"""Dataclasses of options that commands share, as options of their own on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses: each of their fields becomes an option of its own.

    So options that several commands share are listed once, and travel as one value.
    """
    own = inspect.signature(command, eval_str=True).parameters.values()
    bundles: dict[str, Any] = {
        one.name: one.annotation for one in own if is_dataclass(one.annotation)
    }
    parameters: list[inspect.Parameter] = []
    for one in own:
        parameters += _of_fields(bundles[one.name]) if one.name in bundles else [one]

    @wraps(command)
    def spreading(**values: Any) -> None:
        for name, bundle in bundles.items():
            values[name] = bundle(**{one.name: values.pop(one.name) for one in fields(bundle)})
        command(**values)

    by_keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    spreading.__signature__ = inspect.Signature(by_keyword)  # type: ignore[attr-defined]
    return spreading


def _of_fields(bundle: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
            annotation=hints[one.name],
        )
        for one in fields(bundle)
    ]

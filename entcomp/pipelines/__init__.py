"""From audio to units, groups, text and voices: what the library and the command line offer.

``from entcomp.pipelines import train_text`` imports that module when something in it is first used,
so that the help of a command need not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """Imports its module on first use; not in `sys.modules`, which other code goes through."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def __getattr__(name: str) -> ModuleType:
    full = f"{__name__}.{name}"
    if find_spec(full) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _LazyModule(full)

"""Components by name: criteria, extractors, vocoders, tasks, metrics.

A component is one file. It says ``@CRITERIA.register("name")`` over its class, and lies in the
package that its registry looks through, or in another package, which names it among its
entry points (``[options.entry_points] entcomp.criteria = name = their.module:Class``).
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from entcomp.errors import EntcompError

Component = TypeVar("Component")
AnyComponent = TypeVar("AnyComponent", bound=Any)

log = logging.getLogger(__name__)


class Registry(Generic[Component]):
    """The components of one kind, imported when the first of them is asked for.

    ``kind`` is what messages call one of them, as in ``criterion``; ``package`` is the full name
    of the package whose modules register themselves; ``group`` that of others' entry points.
    Modules of components import numpy at most: what is heavier, only when a component is used.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self.package, self.group = kind, package, group
        self._found: dict[str, Component] = {}
        self._is_loaded = False

    def register(self, *names: str) -> Callable[[AnyComponent], AnyComponent]:
        """A decorator that keeps a component under its names. Raises ValueError for one taken."""

        def keep(component: AnyComponent) -> AnyComponent:
            for name in names:
                if self._found.setdefault(name, component) is not component:
                    raise ValueError(f"{self.kind} {name}: registered twice")
            return component

        return keep

    def __getitem__(self, name: str) -> Component:
        """Raises EntcompError for an unknown name, with those that there are."""
        self._load()
        if name not in self._found:
            raise EntcompError(f"{self.kind} {name}: unknown; available: {', '.join(sorted(self))}")
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        """Names: those of our own package first, each in the order of registration."""
        self._load()
        return iter(self._found)

    def items(self) -> Iterator[tuple[str, Component]]:
        return ((name, self[name]) for name in self)

    def _load(self) -> None:
        if self._is_loaded:
            return
        self._is_loaded = True
        from importlib.metadata import entry_points  # takes longer than all else here

        package = importlib.import_module(self.package)
        for module in sorted(one.name for one in pkgutil.iter_modules(package.__path__)):
            importlib.import_module(f"{self.package}.{module}")
        for point in entry_points(group=self.group):
            try:
                self.register(point.name)(point.load())
            except Exception as error:  # another package's code may fail in any way
                log.warning(
                    "%s %s (%s): cannot be loaded: %s", self.kind, point.name, point.value, error
                )

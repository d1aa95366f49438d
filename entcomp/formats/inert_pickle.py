"""Pickles, read without running anything.

A pickle is a program. Here every class and function that it names becomes an inert `Named`, its
calls are noted and not made, and a name that its kind of file does not need is refused.
"""

from __future__ import annotations

import lzma
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

# What malformed files lead to.
UNREADABLE = (
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


DICTIONARIES = {"collections.OrderedDict", "collections.defaultdict"}


class RefusedError(Exception):
    """A pickle names or does what its kind of file does not need."""


class Stream(Protocol):
    """Bytes to read: a file's, or those in memory."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self) -> bytes: ...


@dataclass(frozen=True)
class Names:
    """What pickles of a kind may name: all in some modules and their parts, and some names."""

    kind: str  # as in "which no k-means model needs"
    modules: tuple[str, ...]
    names: frozenset[str]

    def allow(self, module: str, name: str) -> bool:
        """Whether this class or function belongs to such a pickle."""
        inside = any(module == one or module.startswith(f"{one}.") for one in self.modules)
        return inside or f"{module}.{name}" in self.names


@dataclass(eq=False)
class Named:
    """A class or function that a pickle names, or what calling it with ``args`` would give.

    ``state`` is what the pickle would have put into the object afterwards.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = field(default_factory=dict)


class InertUnpickler(pickle._Unpickler):
    """Reads a pickle to plain values and `Named` objects; collections' dictionaries are plain ones.

    Raises RefusedError for names that are not among ``allowed``.
    """

    stack: list[Any]
    append: Callable[[Any], None]

    def __init__(self, stream: Stream, allowed: Names) -> None:
        super().__init__(stream, encoding="latin1")
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Named:
        if not self._allowed.allow(module, name):
            raise RefusedError(
                f"names {module}.{name}, which no {self._allowed.kind} needs; not loaded"
            )
        return Named(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Named:
        """What lies outside of the pickle: only torch's files have it."""
        raise RefusedError("refers to objects outside of it; not loaded")

    def called(self, found: Named) -> Any:
        """What stands for the object that a call would give."""
        return found

    def built(self, found: Named) -> Any:
        """What stands for an object whose state is complete."""
        return found

    def _call(self, function: Any, args: Any) -> None:
        if not isinstance(function, Named):
            raise RefusedError(f"calls a {type(function).__name__}; not loaded")
        name, args = function.name, tuple(args)
        if name in DICTIONARIES:
            self.append(dict(*args) if name == "collections.OrderedDict" else {})
            return
        if name.endswith("._reconstructor"):  # how protocols 0 and 1 make an object of a class
            name, args = args[0].name, ()
        self.append(self.called(Named(name, args)))

    # The opcodes that make objects, under the names that the pickle module's own reader gives them.

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self._call(self.stack.pop(), args)

    load_newobj = load_reduce

    def load_newobj_ex(self) -> None:
        keywords = self.stack.pop()
        if keywords:
            raise RefusedError("calls with keywords; not loaded")
        self.load_reduce()

    def _instantiate(self, klass: Any, args: Any) -> None:
        self._call(klass, args)

    def load_build(self) -> None:
        state = self.stack.pop()
        found = self.stack[-1]
        if type(found) is dict:  # one of collections', whose attributes nothing reads
            return
        if not isinstance(found, Named):
            raise RefusedError(f"changes a {type(found).__name__}; not loaded")
        found.state = state
        self.stack[-1] = self.built(found)

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
    }

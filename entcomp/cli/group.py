"""The group of all commands: each is imported when it is called, or when its own help is asked for.

A command is a module of this package with a function of its name, whose docstring is its help.
"""

from __future__ import annotations

import ast
import importlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from entcomp.progress import log_to_stderr

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
# Options of the program, which may stand anywhere on the line, and what they do to the log's level.
ANYWHERE = {"--debug": 0, "-v": -10, "--verbose": -10, "-vv": -20, "-q": 10, "--quiet": 10}
RENAMED = {"--segments": "--segmentation"}

log = logging.getLogger("entcomp")


class LazyCommand(TyperCommand):
    """Knows its name and panel; all else it learns from its module."""

    @property
    def module(self) -> str:
        return str(self.name).replace("-", "_")

    def summary(self) -> str:
        """The first line of the function's docstring; the module is read, but not imported."""
        source = Path(__file__).with_name(f"{self.module}.py").read_text(encoding="utf-8")
        functions = (one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef))
        own = next(one for one in functions if one.name == self.module)
        return (ast.get_docstring(own) or "").partition("\n")[0]

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **named: Any) -> Any:
        """That of the true command: parsing, calls, help and completion all go this way."""
        module = importlib.import_module(f"entcomp.cli.{self.module}")
        alone = typer.Typer(add_completion=False, context_settings=SETTINGS)
        alone.command(self.name)(getattr(module, self.module))
        command = typer.main.get_command(alone)
        return command.make_context(info_name, list(_renamed(args)), *more, **named)


class Commands(TyperGroup):
    """The commands of ``panels``, by the title of each panel in ``entcomp --help``."""

    panels: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - of a subclass, never changed

    def __init__(self, **settings: Any) -> None:
        commands = {
            name: LazyCommand(name, rich_help_panel=panel, context_settings=SETTINGS)
            for panel, names in self.panels.items()
            for name in names
        }
        super().__init__(**settings | {"commands": commands})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        if isinstance(command, LazyCommand) and not command.help:
            command.help = command.summary()
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take out the options of `ANYWHERE`."""
        log_to_stderr(logging.WARNING + sum(ANYWHERE.get(one, 0) for one in args))
        return super().parse_args(ctx, [one for one in args if one not in ANYWHERE])

    def invoke(self, ctx: Any) -> Any:
        begin = time.monotonic()
        try:
            return super().invoke(ctx)
        finally:
            log.info("%s took %.1f s", ctx.invoked_subcommand, time.monotonic() - begin)


def _renamed(arguments: list[str]) -> Iterator[str]:
    """New names of options for old ones, with a warning."""
    for argument in arguments:
        old, equals, value = argument.partition("=")
        if new := RENAMED.get(old):
            log.warning("%s is called %s now", old, new)
        yield f"{new or old}{equals}{value}"

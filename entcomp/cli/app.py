"""The command line: one Typer app, a thin module a subcommand, and how errors reach the user."""

from __future__ import annotations

import errno
import sys

import typer

from entcomp.errors import EntcompError

app = typer.Typer(
    name="entcomp",
    help="Entropy-based compression of speech units (arXiv 2509.00503).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Options of every subcommand; `main` reads them, so that they may stand anywhere."""


def main() -> None:
    """Run the command line; a user's mistake ends in one line on stderr and exit code 1."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        app([argument for argument in arguments if argument != "--debug"])
    except EntcompError as error:
        _fail(str(error), debug)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
        _fail(f"{error.filename or 'output'}: {error.strerror}; {remedy} and run again", debug)


def _fail(message: str, debug: bool) -> None:
    if debug:
        raise  # the error being handled
    print(f"entcomp: error: {message}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()

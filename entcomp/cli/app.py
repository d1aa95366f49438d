"""The command line: which commands there are, and how errors reach the user."""

from __future__ import annotations

import errno
import sys

import typer

from entcomp import __version__
from entcomp.cli.group import SETTINGS, Commands
from entcomp.errors import EntcompError, naming_missing_packages

# What a user can fix: space, rights, limits, names, and a file where a folder is wanted, or the
# other way round.
USERS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE),
)


class EntcompCommands(Commands):
    """In the order of the pipeline."""

    panels = {  # noqa: RUF012
        "Prepare: recordings to units, entropies and groups": (
            *("learn-kmeans", "dump-units", "score-entropy", "segment", "align"),
            *("import-data", "export-data", "import-units", "export-units"),
            *("import-segmentation", "merge-shards"),
        ),
        "Train": ("train-lm", "train-asr", "train-st", "train-vc", "train-vocoder"),
        "Evaluate": (
            *("info", "decode", "score", "align-eval", "evaluate-units", "score-vc"),
            *("compare", "bench-latency", "report"),
        ),
        "Use: on any recording": (
            *("tokenize", "plot", "explore", "transcribe", "translate", "convert", "synthesize"),
            *("pack", "push"),
        ),
    }


app = typer.Typer(
    name="entcomp",
    cls=EntcompCommands,
    help="Entropy-based compression of speech units (arXiv 2509.00503).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"entcomp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_print_version, is_eager=True
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more, on stderr; -vv: all."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Errors only: no warnings, no bars."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Options of every command. `Commands` takes them out, so that they may stand anywhere."""


def main() -> None:
    """Run the command line; a user's mistake ends in one line on stderr and exit code 1."""
    try:
        with naming_missing_packages("this command"):
            app(sys.argv[1:])
    except EntcompError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in USERS:
            raise
        remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "fix that"
        _fail(f"{error.filename or 'output'}: {error.strerror}; {remedy} and run again")


def _fail(message: str) -> None:
    if "--debug" in sys.argv:
        raise  # the error being handled
    print(f"entcomp: error: {message}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()

"""The command line: one Typer app, a thin module a subcommand, and how errors reach the user."""

from __future__ import annotations

import errno
import sys

import typer

from entcomp.cli import (
    align,
    align_eval,
    bench_latency,
    convert,
    decode,
    dump_units,
    export_units,
    import_units,
    learn_kmeans,
    merge_shards,
    pack,
    plot,
    report,
    score,
    score_entropy,
    score_vc,
    segment,
    tokenize,
    train_asr,
    train_lm,
    train_st,
    train_vc,
    train_vocoder,
    transcribe,
    translate,
)
from entcomp.errors import EntcompError

# What a user can mend: space, rights, and a file where a folder is wanted.
USERS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

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


# In the order of the pipeline, as --help shows them.
app.command("learn-kmeans")(learn_kmeans.learn_kmeans)
app.command("dump-units")(dump_units.dump_units)
app.command("train-lm")(train_lm.train_lm)
app.command("score-entropy")(score_entropy.score_entropy)
app.command("segment")(segment.segment)
app.command("align")(align.align)
app.command("align-eval")(align_eval.align_eval)
app.command("report")(report.report)
app.command("train-asr")(train_asr.train_asr)
app.command("train-st")(train_st.train_st)
app.command("decode")(decode.decode)
app.command("score")(score.score)
app.command("bench-latency")(bench_latency.bench_latency)
app.command("train-vc")(train_vc.train_vc)
app.command("train-vocoder")(train_vocoder.train_vocoder)
app.command("convert")(convert.convert)
app.command("score-vc")(score_vc.score_vc)
app.command("tokenize")(tokenize.tokenize)
app.command("transcribe")(transcribe.transcribe)
app.command("translate")(translate.translate)
app.command("plot")(plot.plot)
app.command("pack")(pack.pack)
app.command("merge-shards")(merge_shards.merge_shards)
app.command("import-units")(import_units.import_units)
app.command("export-units")(export_units.export_units)


def main() -> None:
    """Run the command line; a user's mistake ends in one line on stderr and exit code 1."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        app([argument for argument in arguments if argument != "--debug"])
    except EntcompError as error:
        _fail(str(error), debug)
    except OSError as error:
        if error.errno not in USERS:
            raise
        remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "fix that"
        _fail(f"{error.filename or 'output'}: {error.strerror}; {remedy} and run again", debug)


def _fail(message: str, debug: bool) -> None:
    if debug:
        raise  # the error being handled
    print(f"entcomp: error: {message}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()

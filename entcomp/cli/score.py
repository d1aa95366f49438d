"""entcomp score"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import NlsymsTxt
from entcomp.errors import EntcompError
from entcomp.evaluation.text.metrics import METRICS, describe_metrics
from entcomp.evaluation.text.scores import describe_scores, score_texts
from entcomp.files import write_json
from entcomp.formats.nlsyms import read_nlsyms
from entcomp.kaldi.table import read_table


def score(
    ref: Annotated[Path, typer.Option(help="References: 'utt_id text' lines.")],
    hyp: Annotated[Path, typer.Option(help="Hypotheses: 'utt_id text' lines.")],
    metric: Annotated[str, typer.Option(metavar="NAME", help=describe_metrics())] = "wer",
    normalizer: Annotated[
        str, typer.Option(metavar="basic|none", help="For wer: fold case, drop punctuation.")
    ] = "basic",
    lang: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Of the texts, as zh, zho or zh_TW: BLEU's tokeniser, and the i of Turkish.",
        ),
    ] = None,
    nlsyms_txt: NlsymsTxt = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Write the scores there, too."),
    ] = None,
) -> None:
    """Score hypotheses against references; utterances without a reference do not count.

    With bleu, or --normalizer none, non-linguistic symbols are words unless --nlsyms-txt has them.
    """
    for option, value, known in (
        ("metric", metric, METRICS),
        ("normalizer", normalizer, ("basic", "none")),
    ):
        if value not in known:
            raise EntcompError(f"--{option} {value}: one of {', '.join(known)}")
    references, hypotheses = (read_table(path, empty_values=True) for path in (ref, hyp))
    nlsyms = read_nlsyms(nlsyms_txt) if nlsyms_txt else None
    scores = score_texts(references, hypotheses, metric, normalizer, lang, hyp, nlsyms)  # type: ignore[arg-type]
    for line in describe_scores(scores, metric):
        print(line)
    if output:
        write_json(output, scores)

"""entcomp decode"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entcomp.cli.options import Data, Exp

if TYPE_CHECKING:
    from entcomp.artifacts.experiment import Experiment
    from entcomp.kaldi.datadir import DataDir
    from entcomp.tasks.text.config import DecodingConfig
    from entcomp.tasks.text.train import TrainedTextModel


def decode(
    data: Data,
    exp: Exp,
    model: Annotated[str, typer.Option(metavar="TASK/TAG", help="As in asr/raw or st/fr_raw.")],
    sets: Annotated[str, typer.Option(metavar="NAMES", help="Sets to decode.")] = "test*",
    segments: Annotated[
        str | None,
        typer.Option(
            metavar="raw|dedup|TAG",
            help="Other groups than in training; needed after --random-rates.",
        ),
    ] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Hypotheses in the search.")] = None,
    ctc_weight: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of CTC against the decoder.")
    ] = None,
    length_bonus: Annotated[float | None, typer.Option(help="Nats a text piece.")] = None,
) -> None:
    """Turn speech units to text, and score it where there is a reference.

    Writes EXP/TASK/TAG/decode_<set>: text, hyp.trn, ref.trn and scores.json. Options that differ
    from training become part of the folder's name.
    """
    from entcomp.artifacts.experiment import Experiment
    from entcomp.kaldi.datadir import find_sets
    from entcomp.tasks.text.train import TrainedTextModel

    experiment = Experiment(exp)
    chosen = find_sets(data, sets)
    trained = TrainedTextModel.load(experiment.path / model)
    trained.info.check_units(experiment.units_info(), trained.folder)
    given = {"beam": beam, "ctc_weight": ctc_weight, "length_bonus": length_bonus}
    changed = {name: value for name, value in given.items() if value is not None}
    config = trained.config.decoding.model_copy(update=changed)
    suffix = "".join(f"_{name}{value:g}" for name, value in changed.items())
    segments = segments or trained.info.segments
    if segments != trained.info.segments:
        suffix = f"_{segments}{suffix}"
    for data_set in chosen:
        folder = trained.folder / f"decode_{data_set.name}{suffix}"
        _decode_set(experiment, data_set, trained, segments, config, folder)


def _decode_set(
    experiment: Experiment,
    data_set: DataDir,
    trained: TrainedTextModel,
    segments: str,
    config: DecodingConfig,
    folder: Path,
) -> None:
    """Decode and score one set, unless that was done from the same inputs."""
    from entcomp.artifacts.stage import Stage
    from entcomp.artifacts.streams import check_segments, stream_sha256
    from entcomp.evaluation.text.translation import make_bleu
    from entcomp.files import sha256_file
    from entcomp.kaldi.table import write_table

    check_segments(experiment, segments)
    reference = data_set.path / trained.info.target
    inputs = {
        "weights_sha256": sha256_file(trained.folder / "model.safetensors"),
        "decoding": config.model_dump(),
        "segments": segments,
        "stream_sha256": stream_sha256(experiment, data_set.name, segments),
        "reference_sha256": sha256_file(reference) if reference.exists() else None,
    }
    stage = Stage(folder, inputs)
    if stage.is_complete():
        print(f"{folder}: complete, skipped")
        return
    if trained.info.task == "st" and reference.exists():
        make_bleu(reference.suffix[1:])  # it may not know the language: said before the search
    stage.start()
    hypotheses, rate = _transcribe(experiment, data_set.name, trained, segments, config)
    write_table(folder / "text", hypotheses.items())
    print(f"{folder}: {len(hypotheses)} utterances, {rate:.2f} groups a second")
    scored = reference.exists() and _score(reference, hypotheses, trained, folder, rate)
    stage.finish({"utterances": len(hypotheses), "rate": rate, "scored": bool(scored)})


def _transcribe(
    experiment: Experiment,
    set_name: str,
    trained: TrainedTextModel,
    segments: str,
    config: DecodingConfig,
) -> tuple[dict[str, str], float]:
    """Texts by utterance, and the groups a second of audio that they were made from."""
    from entcomp.artifacts.streams import group_rate, read_streams
    from entcomp.encoder.packed import group_tokens
    from entcomp.progress import track
    from entcomp.tasks.text.search import TextSearch

    search = TextSearch(trained.model, trained.vocabulary, config)
    streams = list(read_streams(experiment, set_name, segments))
    merge_runs = trained.config.merge_runs
    tokens = [group_tokens(units, groups, merge_runs) for _, units, groups in streams]
    texts = [""] * len(streams)
    for batch in track(search.batches(tokens), f"decode {set_name}"):
        for one, text in zip(batch, search.transcribe([tokens[one] for one in batch]), strict=True):
            texts[one] = text
    hypotheses = {utt_id: text for (utt_id, *_), text in zip(streams, texts, strict=True)}
    return hypotheses, group_rate(streams, trained.info.frame_shift)


def _score(
    reference: Path,
    hypotheses: dict[str, str],
    trained: TrainedTextModel,
    folder: Path,
    rate: float,
) -> bool:
    """Write scores.json and, for recognition, trn files; False if nothing has a reference."""
    from entcomp.evaluation.text.normalizer import normalize
    from entcomp.evaluation.text.recognition import write_trn
    from entcomp.evaluation.text.scores import describe_scores, score_texts
    from entcomp.files import write_json
    from entcomp.kaldi.table import iter_table

    rows = iter_table(reference, empty_values=True)
    references = {utt_id: text for utt_id, text in rows if utt_id in hypotheses}
    if not references:
        return False
    text = trained.config.vocabulary
    recognition = trained.info.task == "asr"
    metric, lang = ("wer", text.lang) if recognition else ("bleu", reference.suffix[1:])
    scores = score_texts(references, hypotheses, metric, text.normalizer, lang, nlsyms=text.nlsyms)  # type: ignore[arg-type]
    for line in describe_scores(scores):
        print(f"{folder.name}: {line}")
    if recognition:
        for name, texts in (("ref", references), ("hyp", hypotheses)):
            clean = {
                utt_id: normalize(texts[utt_id], text.normalizer, text.lang, text.nlsyms)
                for utt_id in references
            }
            write_trn(folder / f"{name}.trn", clean)
    write_json(folder / "scores.json", {**scores, "rate": rate})
    return True

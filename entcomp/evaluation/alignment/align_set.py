"""The stage `align`: recordings and texts of a set in, a TextGrid for each utterance out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import Stage
from entcomp.audio.read import read_utterance
from entcomp.errors import EntcompError
from entcomp.evaluation.alignment.aligner import SAMPLE_RATE, Outcomes, Transcript, Unaligned
from entcomp.files import sha256_file
from entcomp.formats.nlsyms import remove_nlsyms
from entcomp.formats.textgrid import write_textgrid
from entcomp.kaldi.datadir import DataDir, Utterance, audio_bytes
from entcomp.kaldi.table import iter_table, join, read_table
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances, skip_inputs

Align = Callable[[Sequence[Transcript]], Outcomes]


def align_set(
    data_set: DataDir,
    folder: Path,
    align: Align,
    aligner: dict[str, Any],
    shard: Shard = Shard(),
    skip_bad: bool = False,
    allow_pipes: bool = False,
    nlsyms: list[str] | None = None,
) -> dict[str, int] | None:
    """Write ``<utt_id>.TextGrid`` for what can be aligned, and list the rest in ``unaligned.txt``.

    ``aligner`` is what names the aligner and its settings. ``nlsyms`` are symbols that are no
    words and not to be aligned; None leaves them to the aligner. Returns counts of ``aligned`` and
    ``unaligned`` utterances, or None if the folder was complete. Raises EntcompError if there is no
    text, and if nothing at all could be aligned of a set that is no shard.
    """
    text = data_set.path / "text"
    inputs: dict[str, Any] = {
        "aligner": aligner,
        "audio": [data_set.audio_sha256(), audio_bytes(data_set.utterances())],
        "text_sha256": sha256_file(text) if text.exists() else None,
        **skip_inputs(skip_bad, allow_pipes),
    }
    if nlsyms is not None:
        inputs["nlsyms"] = nlsyms
    stage = Stage(folder, inputs, name=f"stage{shard.suffix}")
    total = sum(1 for _ in data_set.ids())
    listed = folder / f"unaligned{shard.suffix}.txt"
    if stage.is_complete() and _all_there(folder, shard.take(data_set.ids(), total), listed):
        return None
    stage.start()
    for utt_id in shard.take(data_set.ids(), total):  # those of other texts or another aligner
        (folder / f"{utt_id}.TextGrid").unlink(missing_ok=True)
    unaligned = SkippedUtterances(skip_bad)
    transcripts = list(_transcripts(data_set, shard, unaligned, allow_pipes, nlsyms or ()))
    aligned = 0
    for utt_id, outcome in track(align(transcripts), f"align {data_set.name}", len(transcripts)):
        path = folder / f"{utt_id}.TextGrid"
        if isinstance(outcome, Unaligned):
            unaligned.reasons[utt_id] = outcome.reason
        else:
            write_textgrid(path, outcome)
            aligned += 1
    unaligned.write(listed)
    if not aligned and unaligned and shard.count == 1:
        raise EntcompError(f"{listed}: no utterance could be aligned; the file has the reasons")
    counts = {"aligned": aligned, "unaligned": len(unaligned)}
    stage.finish(counts)
    return counts


def _all_there(folder: Path, ids: Iterable[str], listed: Path) -> bool:
    """Has each utterance its TextGrid, or a reason why it has none?"""
    reasons = read_table(listed) if listed.exists() else {}
    return all(one in reasons or (folder / f"{one}.TextGrid").exists() for one in ids)


def _transcripts(
    data_set: DataDir,
    shard: Shard,
    unaligned: SkippedUtterances,
    allow_pipes: bool,
    nlsyms: Sequence[str],
) -> Iterator[Transcript]:
    """The shard's utterances that have a text; the others go to ``unaligned``."""
    total = sum(1 for _ in data_set.ids())
    mine = ((one.utt_id, one) for one in shard.take(data_set.utterances(), total))
    utt2spk = data_set.path / "utt2spk"
    speakers = iter_table(utt2spk) if utt2spk.exists() else iter(())
    rows = join(mine, iter_table(data_set.path / "text", empty_values=True), speakers)
    for (utt_id, utterance), text, speaker in rows:
        if "/" in utt_id:
            raise EntcompError(f"{data_set.path}: {utt_id} cannot name a file; rename it")
        spoken = " ".join(remove_nlsyms(text[1], nlsyms).split()) if text else ""
        if spoken:
            read = partial(_read, utterance, unaligned, allow_pipes)
            name = (speaker[1] if speaker else "speaker").replace("/", "_")
            yield Transcript(utt_id, name, spoken, read)
        elif text and text[1]:
            unaligned.reasons[utt_id] = "no words, only non-linguistic symbols"
        else:
            unaligned.reasons[utt_id] = "no text"


def _read(
    utterance: Utterance, unaligned: SkippedUtterances, allow_pipes: bool
) -> np.ndarray | Unaligned:
    with unaligned.guard(utterance.utt_id):
        return read_utterance(utterance, SAMPLE_RATE, allow_pipes)
    return Unaligned(unaligned.reasons[utterance.utt_id])

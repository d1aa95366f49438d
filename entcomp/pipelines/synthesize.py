"""Speech of units or groups alone: files of units through a trained converter and a vocoder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entcomp.artifacts.runs import run_mask
from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.pipelines.convert import (
    Voices,
    reference_files,
    reference_inputs,
    wav_path,
    write_tables,
    write_wav,
)
from entcomp.pipelines.recordings import check_output
from entcomp.pipelines.unit_sources import UnitSource, open_sources
from entcomp.pipelines.voice_converter import VoiceConverter
from entcomp.progress import track
from entcomp.segmentation.rule import Rule
from entcomp.skipped import SkippedUtterances

FEW = 20  # units among which no two neighbours may be equal by chance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnitReading:
    """How units are read: ``deduplicated`` ones get the durations that the model learnt.

    ``segmentation`` (``raw``, ``dedup`` or a tag) makes the groups; without it those of the file
    count and, where it has none, those of the model's own stream.
    """

    deduplicated: bool = False
    segmentation: str | None = None
    skip_bad: bool = False


def synthesize_files(
    converter: VoiceConverter, files: Sequence[Path], voice: Path, output: Path, how: UnitReading
) -> str:
    """Speak all utterances of ``files`` (``-`` is stdin); returns a line on what was done.

    ``output`` is a WAV file, for one utterance, or a folder that becomes a data dir. ``voice`` is a
    recording, or a table of ``utt_id wav``. Raises EntcompError for what is no units of the model,
    and for an id that stands twice.
    """
    with open_sources(files, converter.info, how.deduplicated) as sources:
        speaker = Speaker(converter, voice, how)
        if output.suffix.lower() == ".wav":
            check_output(output, inputs=[*reference_files(voice), *files])
            return speaker.write_file(sources, output)
        check_output(output, folder=True)
        return speaker.write_folder(sources, output)


class Speaker:
    """A converter and the voice, or voices, that it speaks with."""

    def __init__(self, converter: VoiceConverter, voice: Path, how: UnitReading) -> None:
        self.converter, self.voice, self.how = converter, voice, how
        self._voices = Voices(converter, voice)
        self._rule: Rule | None = None
        if how.segmentation:
            self._rule = converter.grouper.stored_rule(how.segmentation)

    def write_file(self, sources: Sequence[UnitSource], output: Path) -> str:
        """The only utterance, as a WAV file."""
        found = self._utterances(sources, SkippedUtterances(skip_bad=False))
        one, other = next(found, None), next(found, None)
        if one is None or other is not None:
            count = "no" if one is None else "more than one"
            raise EntcompError(f"--output {output}: {count} utterance is there; name a folder")
        samples = self._write(output, *one)
        rate, vocoder = self.converter.sample_rate, self.converter.facts["vocoder"]
        return f"{output}: {samples} samples at {rate} Hz, {vocoder}"

    def write_folder(self, sources: Sequence[UnitSource], folder: Path) -> str:
        """All utterances, as ``wav/<utt_id>.wav`` with ``wav.scp`` and ``utt2ref``."""
        stage = Stage(
            folder,
            self.converter.facts
            | reference_inputs(self.voice)
            | {"units": [one.sha256 for one in sources]}
            | {"deduplicated": self.how.deduplicated, "segmentation": self.how.segmentation},
            files=("wav.scp",),
            withdrawn=("wav.scp",),
        )
        if stage.is_complete():
            return f"{folder}: complete, skipped"
        stage.start()
        skipped = SkippedUtterances(self.how.skip_bad)
        used: dict[str, Path] = {}
        frames = count = 0
        for utt_id, units, groups in track(self._utterances(sources, skipped), "synthesize"):
            with skipped.guard(utt_id):
                self._write(wav_path(folder, utt_id), utt_id, units, groups)
                used[utt_id] = self._voices.path_of(utt_id)
                frames, count = frames + len(units), count + len(groups)
        if not used and not skipped:
            raise EntcompError(f"{sources[0].path}: no units came; nothing is written")
        write_tables(folder, used)
        skipped.write(folder / "skipped.txt")
        rate = count / max(frames * self.converter.info.frame_shift, 1e-9)
        stage.finish({"utterances": len(used), "skipped": len(skipped), "rate": rate})
        vocoder = self.converter.facts["vocoder"]
        return f"{len(used)} utterances to {folder}, {len(skipped)} skipped, {vocoder}"

    def _utterances(
        self, sources: Sequence[UnitSource], skipped: SkippedUtterances
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """``(utt_id, units, groups)``, both counted in frames, in the order of the files."""
        seen: dict[str, Path] = {}
        repeats = units_read = 0
        for source in sources:
            for utt_id, units, groups in source.read(skipped):
                if utt_id in seen:
                    raise EntcompError(
                        f"{source.path}: {utt_id} is in {seen[utt_id]} too; rename one"
                    )
                seen[utt_id] = source.path
                repeats += int((~run_mask(units)).sum())
                units_read += len(units)
                if self.how.deduplicated:
                    units = self.converter.durations.expand(units)
                if groups is None or self._rule is not None:
                    rule = self._rule or self.converter.rule
                    groups, _ = self.converter.grouper.group(units, rule, utt_id)
                yield utt_id, units, groups
        if self.how.deduplicated and repeats:
            log.warning("units repeat %d times; deduplicated ones do not", repeats)
        if not (self.how.deduplicated or repeats) and units_read >= FEW:
            log.warning("no unit is repeated; if they are deduplicated, pass --deduplicated")

    def _write(self, path: Path, utt_id: str, units: np.ndarray, groups: np.ndarray) -> int:
        """Speak an utterance to a file; the number of samples."""
        waveform = self.converter.synthesize(units, self._voices.of(utt_id), groups, utt_id)
        write_wav(path, waveform, self.converter.sample_rate)
        return len(waveform)

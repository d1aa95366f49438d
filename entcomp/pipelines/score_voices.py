"""What `score-vc` does: source, resynthesis and conversions of one set, judged alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from entcomp.artifacts.experiment import Experiment
    from entcomp.audio.mel import MelConfig
    from entcomp.evaluation.voices.judges import Judges, Scores
    from entcomp.kaldi.datadir import DataDir, Utterance
    from entcomp.tasks.vc.vocoder import Vocoder


@dataclass(frozen=True)
class Comparison:
    """A set, what was made of it, and the models that judge.

    ``systems`` are folders that `convert` wrote for this set, by name; ``folder`` receives what
    each came to, so that a later system does not score the earlier ones again.
    """

    folder: Path
    data_set: DataDir
    systems: dict[str, Path]
    judges: Judges
    mel: MelConfig
    vocoder: Vocoder
    vocoder_sha256: str
    allow_pipes: bool

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        data_set: DataDir,
        systems: dict[str, Path],
        judges: Judges,
        vocoder: Path | None,
        allow_pipes: bool,
    ) -> Comparison:
        """Raises EntcompError if a system was made with another vocoder."""
        from entcomp.artifacts.hashes import check_same
        from entcomp.artifacts.stage import read_stage
        from entcomp.audio.mel import MelConfig
        from entcomp.tasks.vc.vocoder import load_vocoder, vocoder_sha256

        ours, mel = vocoder_sha256(vocoder), MelConfig()
        for path in systems.values():
            made = read_stage(path)["inputs"]
            remedy = "pass the --vocoder that convert had"
            theirs = made.get("vocoder_sha256", ours)
            check_same(theirs or "none", ours or "none", "vocoder", path, remedy)
            mel = MelConfig(**made.get("mel", {}))
        folder = experiment.task("vc", "scores") / data_set.name
        loaded = load_vocoder(vocoder, mel)
        return cls(folder, data_set, systems, judges, mel, loaded, ours, allow_pipes)

    def score(self) -> str:
        """Judge all systems; writes ``scores.json`` and ``table.md``, which is returned too."""
        from entcomp.files import atomic_path, write_json
        from entcomp.report.conversion import ConversionScores

        texts = self._texts()
        summaries = {
            name: self.judges.summarise(self._judged(name), texts) | self._stream(name)
            for name in ("source", "resynthesis", *self.systems)
        }
        models = {**self.judges.names(), "vocoder": self.vocoder.name}
        audio = {name: str(path) for name, path in self._folders.items()}
        stored = {"models": models, "systems": summaries, "audio": audio}
        write_json(self.folder / "scores.json", stored)
        table = ConversionScores(models, summaries).markdown()
        with atomic_path(self.folder / "table.md") as temporary:
            temporary.write_text(table, encoding="utf-8")
        return table

    def _stream(self, name: str) -> dict[str, Any]:
        """What a system was converted from: ``segments``, and ``rate`` in groups a second."""
        from entcomp.artifacts.stage import read_stage

        if name not in self.systems:
            return {}
        made = read_stage(self.systems[name])
        found = {**made["inputs"], **made["outputs"]}
        return {key: found[key] for key in ("segments", "rate") if key in found}

    def _judged(self, name: str) -> dict[str, Scores]:
        """Scores by utterance of one system, from an earlier run if nothing has changed."""
        from entcomp.artifacts.stage import Stage, read_stage
        from entcomp.progress import track

        stage = Stage(self.folder, self._inputs(name), name=name)
        if not stage.is_complete():
            stage.start()
            waveforms = track(self._waveforms(name), f"score {name}", len(self._sources))
            stage.finish(
                {
                    utt_id: self.judges.judge(waveform, *self._voices[utt_id])
                    for utt_id, waveform in waveforms
                }
            )
        return read_stage(self.folder, name)["outputs"]

    def _inputs(self, name: str) -> dict[str, Any]:
        """All that a system's scores depend on."""
        from entcomp.artifacts.stage import read_stage
        from entcomp.files import sha256_of

        inputs = {
            "models": self.judges.names(),
            "audio": self.data_set.audio_sha256(),
            "references": sha256_of(self._references),
        }
        if name == "resynthesis":
            inputs["vocoder"] = [self.vocoder.name, self.vocoder_sha256]
        if name in self.systems:
            inputs["system"] = read_stage(self.systems[name])
        return inputs

    def _waveforms(self, name: str) -> Iterator[tuple[str, np.ndarray]]:
        """``(utt_id, samples at 16 kHz)`` of a system."""
        from entcomp.audio.read import read_wav
        from entcomp.evaluation.voices.speaker import SAMPLE_RATE
        from entcomp.kaldi.table import read_table

        if name == "source":
            yield from ((utt_id, self._read(utt_id, SAMPLE_RATE)) for utt_id in self._sources)
            return
        if name == "resynthesis":
            self._resynthesise()
        table = read_table(self._folders[name] / "wav.scp")
        yield from (
            (utt_id, read_wav(Path(table[utt_id]), SAMPLE_RATE)) for utt_id in self._sources
        )

    def _resynthesise(self) -> None:
        """Keep the vocoder's copies as a data dir beside the scores, for people to listen to."""
        from entcomp.kaldi.table import write_table
        from entcomp.pipelines.convert import wav_path, write_wav
        from entcomp.tasks.vc.convert import resynthesise

        folder, rate = self._folders["resynthesis"], self.mel.sample_rate
        for utt_id in self._sources:
            copy = resynthesise(self._read(utt_id, rate), self.mel, self.vocoder)
            write_wav(wav_path(folder, utt_id), copy, rate)
        rows = ((utt_id, str(wav_path(folder, utt_id))) for utt_id in self._sources)
        write_table(folder / "wav.scp", rows)

    @property
    def _folders(self) -> dict[str, Path]:
        """The data dir of each system, with wav.scp; the source has its own."""
        return {"resynthesis": self.folder / "resynthesis", **self.systems}

    def _read(self, utt_id: str, sample_rate: int) -> np.ndarray:
        from entcomp.audio.read import read_utterance

        return read_utterance(self._sources[utt_id], sample_rate, self.allow_pipes)

    @cached_property
    def _sources(self) -> dict[str, Utterance]:
        """The utterances that every system has. Raises EntcompError if there are none."""
        from entcomp.errors import EntcompError
        from entcomp.kaldi.table import read_table

        made = (set(read_table(path / "wav.scp")) for path in self.systems.values())
        common = set.intersection(*made)
        found = {one.utt_id: one for one in self.data_set.utterances() if one.utt_id in common}
        if not found:
            paths = ", ".join(str(path) for path in self.systems.values())
            raise EntcompError(f"{paths}: no utterance of {self.data_set.path} in all of them")
        return found

    @cached_property
    def _references(self) -> dict[str, str]:
        """The reference of each utterance. Raises EntcompError if systems differ in it."""
        from entcomp.errors import EntcompError
        from entcomp.kaldi.table import read_table

        tables = {path: read_table(path / "utt2ref") for path in self.systems.values()}
        first, *others = ({one: table[one] for one in self._sources} for table in tables.values())
        if any(other != first for other in others):
            paths = ", ".join(str(path) for path in tables)
            raise EntcompError(f"{paths}: other references; score them apart by --converted")
        return first

    @cached_property
    def _voices(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Embeddings of each utterance's reference and source."""
        from entcomp.audio.read import read_wav
        from entcomp.evaluation.voices.speaker import SAMPLE_RATE

        voice = self.judges.voice
        references = {
            path: voice(read_wav(Path(path), SAMPLE_RATE))
            for path in set(self._references.values())
        }
        return {
            utt_id: (references[path], voice(self._read(utt_id, SAMPLE_RATE)))
            for utt_id, path in self._references.items()
        }

    def _texts(self) -> dict[str, str]:
        from entcomp.kaldi.table import read_table

        path = self.data_set.path / "text"
        return read_table(path, empty_values=True) if path.exists() else {}

"""What `score-vc` does: source, resynthesis and conversions of one set, judged alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.audio.mel import MelConfig
from entcomp.audio.read import read_utterance, read_wav
from entcomp.errors import EntcompError, LackingError
from entcomp.evaluation.voices import mos, speaker
from entcomp.evaluation.voices.evaluator import Evaluator, Profile, Recogniser, Scores
from entcomp.evaluation.voices.metrics import VOICE_METRICS
from entcomp.evaluation.voices.moonshine_asr import MoonshineAsr
from entcomp.evaluation.voices.pocketsphinx_asr import PocketsphinxAsr
from entcomp.files import sha256_of, write_json, write_text
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import read_table, write_table
from entcomp.pipelines.convert import recordings_sha256, wav_path, write_wav
from entcomp.pipelines.recognizer import Recognizer
from entcomp.progress import track
from entcomp.report.conversion import ConversionScores
from entcomp.tasks.vc.convert import resynthesise
from entcomp.tasks.vc.info import RESERVED
from entcomp.tasks.vc.vocoder import Vocoder
from entcomp.tasks.vc.vocoders import load_vocoder
from entcomp.units.extractors.moonshine import find_encoder

RECOGNISERS = "moonshine, pocketsphinx, asr/TAG, none"


def open_evaluator(
    experiment: Experiment,
    recognisers: Sequence[str],
    metrics: Sequence[str],
    moonshine: Path | None,
    utmos: Path | None,
    checkpoint: Path | None,
) -> Evaluator:
    """The models that score; recognisers are some of RECOGNISERS, Moonshine's files in a folder.

    ``metrics`` are names of `VOICE_METRICS`, or ``none``. ``utmos`` is UTMOS as a file,
    ``checkpoint`` the extractor's weights on disk. Raises EntcompError for another recogniser or
    metric, and for a recogniser that was not trained in EXP.
    """
    found: list[Recogniser] = []
    for name in recognisers:
        if name == "moonshine":
            found.append(MoonshineAsr(moonshine or find_encoder().parent))
        elif name == "pocketsphinx":
            found.append(PocketsphinxAsr())
        elif name.startswith("asr/"):
            found.append(Recognizer(experiment, name, checkpoint))
        elif name != "none":
            raise EntcompError(f"--asr {name}: one of {RECOGNISERS}")
    return Evaluator(
        found,
        mos.mos_predictors(utmos),
        speaker.SpeakerEncoder(),
        {name: VOICE_METRICS[name]() for name in metrics if name != "none"},
        _dependence(experiment, found),
    )


def _dependence(experiment: Experiment, recognisers: Sequence[Recogniser]) -> dict[str, str]:
    """What the judges have to do with converters of an experiment."""
    found = {"similarity": "the model is conditioned on it"}
    info = experiment.find_units_info()
    for one in recognisers:
        if isinstance(one, Recognizer):
            found[one.key] = "it reads the units that the model speaks"
        elif info is not None and info.extractor == one.key:
            found[one.key] = "the units that the model speaks come from its encoder"
    return found


def find_systems(
    experiment: Experiment, set_name: str, converted: Sequence[Path] = ()
) -> dict[str, Path]:
    """Folders of converted utterances of a set by name: those given, or all of EXP's models.

    What a model of EXP made, ``vc/TAG/convert``, is called TAG, other folders as they are. Raises
    LackingError if there are none, or one is not there, and EntcompError for two of one name.
    """
    folder = experiment.path / "vc"
    made = sorted(folder.glob(f"*/convert/{set_name}/stage.json"))
    found: dict[str, Path] = {}
    for path in converted or (one.parents[1] for one in made):
        whole = path.absolute()
        name = whole.parent.name if whole.name == "convert" else whole.name
        if name in (*found, *RESERVED):
            raise EntcompError(f"{path}: another is called {name}, too; rename it")
        found[name] = path / set_name
    lacking = [path.parent for path in found.values() if not path.is_dir()]
    if lacking or not found:
        where = lacking[0] if lacking else folder
        raise LackingError(f"{where}: nothing converted of {set_name}; run convert")
    return found


@dataclass(frozen=True)
class Comparison:
    """A set, what was made of it, and the models that evaluate.

    ``systems`` are folders that `convert` wrote for this set, by name; ``folder`` receives what
    each came to, so that a later system does not score the earlier ones again.
    """

    folder: Path
    data_set: DataDir
    systems: dict[str, Path]
    evaluator: Evaluator
    mel: MelConfig
    vocoder: Vocoder
    allow_pipes: bool

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        data_set: DataDir,
        systems: dict[str, Path],
        evaluator: Evaluator,
        vocoder: str | Path | None,
        allow_pipes: bool,
    ) -> Comparison:
        """Raises EntcompError if a system was made with another vocoder."""
        made = {path: read_stage(path)["inputs"] for path in systems.values()}
        mel = MelConfig()
        for inputs in made.values():
            mel = MelConfig(**inputs.get("mel", {}))
        loaded = load_vocoder(vocoder, mel)
        ours = loaded.sha256
        for path, inputs in made.items():
            remedy = "pass the --vocoder that convert had"
            theirs = inputs.get("vocoder_sha256", ours)
            check_same(theirs or "none", ours or "none", "vocoder", path, remedy)
        folder = experiment.task("vc", "scores") / data_set.name
        return cls(folder, data_set, systems, evaluator, mel, loaded, allow_pipes)

    def score(self) -> str:
        """Judge all systems; writes ``scores.json`` and ``table.md``, which is returned too."""
        texts = self._texts()
        summaries = {
            name: self.evaluator.summarise(self._judged(name), texts) | self._stream(name)
            for name in ("source", "resynthesis", *self.systems)
        }
        models = {**self.evaluator.names(), "vocoder": self.vocoder.name}
        audio = {name: str(path.absolute()) for name, path in self._folders.items()}
        stored = {"models": models, "systems": summaries, "audio": audio}
        stored["dependence"] = dependence = dict(self.evaluator.dependence)
        write_json(self.folder / "scores.json", stored)
        table = ConversionScores(models, summaries, dependence).markdown()
        write_text(self.folder / "table.md", table)
        return table

    def _stream(self, name: str) -> dict[str, Any]:
        """What a system was converted from: ``segments``, and ``rate`` in groups a second."""
        if name not in self.systems:
            return {}
        made = read_stage(self.systems[name])
        found = {**made["inputs"], **made["outputs"]}
        return {key: found[key] for key in ("segments", "rate") if key in found}

    def _judged(self, name: str) -> dict[str, Scores]:
        """Scores by utterance of one system, from an earlier run if nothing has changed."""
        stage = Stage(self.folder, self._inputs(name), name=name)
        if not stage.is_complete():
            stage.start()
            waveforms = track(self._waveforms(name), f"score {name}", len(self._sources))
            stage.finish(
                {
                    utt_id: self.evaluator.evaluate(waveform, *self._voices[utt_id])
                    for utt_id, waveform in waveforms
                }
            )
        return read_stage(self.folder, name)["outputs"]

    def _inputs(self, name: str) -> dict[str, Any]:
        """All that a system's scores depend on."""
        inputs = {
            "models": self.evaluator.names(),
            "audio": self.data_set.audio_sha256(),
            "references": self._references_sha256,
        }
        if name == "resynthesis":
            inputs["vocoder"] = [self.vocoder.name, self.vocoder.sha256]
        if name in self.systems:
            inputs["system"] = read_stage(self.systems[name])
        return inputs

    def _waveforms(self, name: str) -> Iterator[tuple[str, np.ndarray]]:
        """``(utt_id, samples at 16 kHz)`` of a system."""
        if name == "source":
            yield from (
                (utt_id, self._read(utt_id, speaker.SAMPLE_RATE)) for utt_id in self._sources
            )
            return
        if name == "resynthesis":
            self._resynthesise()
        table = read_table(self._folders[name] / "wav.scp")
        yield from (
            (utt_id, read_wav(Path(table[utt_id]), speaker.SAMPLE_RATE)) for utt_id in self._sources
        )

    def _resynthesise(self) -> None:
        """Keep the vocoder's copies as a data dir beside the scores, for people to listen to."""
        folder, rate = self._folders["resynthesis"], self.mel.sample_rate
        for utt_id in self._sources:
            copy = resynthesise(self._read(utt_id, rate), self.mel, self.vocoder)
            write_wav(wav_path(folder, utt_id), copy, rate)
        rows = ((one, str(wav_path(folder, one).absolute())) for one in self._sources)
        write_table(folder / "wav.scp", rows)

    @property
    def _folders(self) -> dict[str, Path]:
        """The data dir of each system, with wav.scp; the source has its own."""
        return {"resynthesis": self.folder / "resynthesis", **self.systems}

    def _read(self, utt_id: str, sample_rate: int) -> np.ndarray:

        return read_utterance(self._sources[utt_id], sample_rate, self.allow_pipes)

    @cached_property
    def _sources(self) -> dict[str, Utterance]:
        """The utterances that every system has. Raises EntcompError if there are none."""
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
        tables = {path: read_table(path / "utt2ref") for path in self.systems.values()}
        first, *others = ({one: table[one] for one in self._sources} for table in tables.values())
        if any(_files(other) != _files(first) for other in others):
            paths = ", ".join(str(path) for path in tables)
            raise EntcompError(f"{paths}: other references; score them apart by --converted")
        return first

    @cached_property
    def _references_sha256(self) -> str:
        """Of which they are, and of what they hold."""
        return sha256_of([self._references, recordings_sha256(self._references.values())])

    @cached_property
    def _voices(self) -> dict[str, tuple[Profile, Profile]]:
        """The voices of each utterance's reference and source."""
        voice = self.evaluator.profile
        references = {
            path: voice(read_wav(Path(path), speaker.SAMPLE_RATE))
            for path in set(self._references.values())
        }
        return {
            utt_id: (references[path], voice(self._read(utt_id, speaker.SAMPLE_RATE)))
            for utt_id, path in self._references.items()
        }

    def _texts(self) -> dict[str, str]:

        path = self.data_set.path / "text"
        return read_table(path, empty_values=True) if path.exists() else {}


def _files(table: dict[str, str]) -> list[Path]:
    """Older folders name references from the working directory on."""
    return [Path(path).absolute() for path in table.values()]

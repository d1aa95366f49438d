"""A trained converter with its tokenizer and a vocoder: waveforms, or units, to speech."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import groups_fault
from entcomp.artifacts.packing import Model, check_task
from entcomp.artifacts.units import units_fault
from entcomp.audio.read import as_float32, read_wav, resample
from entcomp.errors import EntcompError
from entcomp.evaluation.voices import speaker
from entcomp.pipelines.hub import open_model
from entcomp.pipelines.tokenizer import Grouper, Tokenizer
from entcomp.segmentation.rule import Rule
from entcomp.tasks.vc.content import FrameMap
from entcomp.tasks.vc.convert import Content, Converter, Recording, Reference, check_reference
from entcomp.tasks.vc.durations import Durations
from entcomp.tasks.vc.train import load_converter
from entcomp.tasks.vc.vocoders import load_vocoder

log = logging.getLogger(__name__)

At = Callable[[int], np.ndarray]  # a recording's samples at a rate in Hz


class VoiceConverter:
    """A converter of compressed units, as ``entcomp train-vc`` trains it, with a vocoder.

    >>> from entcomp import VoiceConverter
    >>> converter = VoiceConverter.from_pretrained("exp/vc/tiny")
    >>> voice = converter.voice(reference, sample_rate)
    >>> converted = converter.convert(waveform, sample_rate, voice)
    >>> converted.dtype, len(converted) / converter.sample_rate
    (dtype('float32'), 3.0)
    >>> speech = converter.synthesize(units, voice)  # of units alone, one a frame
    >>> round(len(speech) / converter.sample_rate / len(units), 3)  # seconds a frame
    0.01

    ``sample_rate`` (Hz) is that of speech that comes out, by default the mel spectrogram's;
    ``facts`` are what speech depends on.
    """

    def __init__(
        self,
        experiment: Experiment,
        tag: str,
        vocoder: str | Path | None = None,
        checkpoint: Path | None = None,
        seed: int = 0,
        sample_rate: int | None = None,
        **sampler: float | None,
    ) -> None:
        """Load all models; see `from_pretrained`."""
        folder = experiment.task("vc", tag)
        units = experiment.units_info()
        network, info, model_sha256 = load_converter(folder, units)
        given = {name: value for name, value in sampler.items() if value is not None}
        self.experiment, self.folder = experiment, folder
        self.model = Converter(
            model=network,
            frame_map=FrameMap.between(units, network.config.mel),
            vocoder=load_vocoder(vocoder, network.config.mel),
            sampler=network.config.sampler.model_copy(update=given),
            seed=seed,
        )
        self.facts: dict[str, Any] = {
            "model": f"vc/{folder.name}",
            "model_sha256": model_sha256,
            "segments": info.segments,
            "mel": network.config.mel.model_dump(),
            "sampler": self.model.sampler.model_dump(),
            "seed": seed,
            "vocoder": self.model.vocoder.name,
            "vocoder_sha256": self.model.vocoder.sha256,
        }
        self.sample_rate = sample_rate or network.config.mel.sample_rate
        if sample_rate is not None:
            self.facts["sample_rate"] = sample_rate
        self.info = units
        # Units from elsewhere are grouped here, and cannot be made of audio.
        self.grouper = (
            Tokenizer.open(experiment, checkpoint)
            if units.has_extractor
            else Grouper(experiment, units)
        )
        self.voices = speaker.SpeakerEncoder()

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        vocoder: str | Path | None = None,
        checkpoint: Path | None = None,
        seed: int = 0,
        sample_rate: int | None = None,
        local_files_only: bool = False,
        **sampler: float | None,
    ) -> VoiceConverter:
        """The converter of ``exp/vc/TAG``, ``exp``, ``pack.tar`` or, on the hub, ``user/name``.

        See `hub.open_model`. The tag may be left out where there is only one. ``vocoder`` is one's
        name or checkpoint, by default as in `load_vocoder`. ``checkpoint`` are the extractor's
        weights on disk. ``seed`` is of the noise that a mel is drawn from; ``sample_rate`` (Hz) is
        that of the speech, by default the mel's. ``sampler`` are ``steps``, ``guidance``,
        ``voice_guidance`` and ``temperature``, by default as in the model's config. Raises
        EntcompError where there is no such model.
        """
        found = open_model(model, local_files_only)
        return cls.open(found, vocoder, checkpoint, seed, sample_rate, **sampler)

    @classmethod
    def open(
        cls,
        model: Model,
        vocoder: str | Path | None = None,
        checkpoint: Path | None = None,
        seed: int = 0,
        sample_rate: int | None = None,
        **sampler: float | None,
    ) -> VoiceConverter:
        """The converter of a model; see `from_pretrained`."""
        tag = model.of_task("vc").removeprefix("vc/")
        return cls(model.experiment, tag, vocoder, checkpoint, seed, sample_rate, **sampler)

    @cached_property
    def rule(self) -> Rule:
        """How the model's stream groups units."""
        return self.grouper.stored_rule(self.facts["segments"])

    @cached_property
    def durations(self) -> Durations:
        """How long each unit lasts on average: ``durations.expand(units)``, one a run, to frames.

        Raises EntcompError where its training, by an older version, left none.
        """
        return Durations.read(self.folder, self.info)

    def convert(self, waveform: np.ndarray, sample_rate: int, voice: Reference) -> np.ndarray:
        """A mono waveform, (samples,), in another voice: float32 at `sample_rate`, as long (to a
        sample) and as loud. Raises EntcompError for a waveform shorter than a frame.
        """
        at = partial(resample, as_float32(waveform, "waveform"), sample_rate)
        return self.speak(self._record(at, "waveform"), voice, "waveform")

    def speak(
        self,
        source: Recording,
        voice: Reference,
        name: str,
        progress: Callable[[float], None] = lambda done: None,
    ) -> np.ndarray:
        """What `convert` returns, of a recording whose units are known; ``name`` is drawn from.

        ``progress`` is called with the parts of the work that have been done, which sum to 1.
        """
        return self._resampled(self.model(source, voice, name, progress))

    def synthesize(
        self,
        units: np.ndarray | Sequence[int],
        voice: Reference,
        groups: np.ndarray | Sequence[int] | None = None,
        name: str = "units",
    ) -> np.ndarray:
        """Speech of units alone, without a recording: float32 (samples,) at `sample_rate`.

        ``units`` (frames,) are 0..K-1, one a frame; those one a run go through `durations` before.
        ``groups`` (groups,) are lengths in frames, by default as the model's own stream has them.
        It lasts as long as the units, and is as loud as the model makes it. ``name`` is drawn from,
        as an utterance's id is. Raises EntcompError, with ``name``, for units or groups that are
        none.
        """
        units = np.asarray(units)
        reason = units_fault(units, self.info.num_clusters)
        if groups is not None:
            groups = np.asarray(groups)
            reason = reason or groups_fault(groups, len(units))
        if reason:
            raise EntcompError(f"{name}: {reason}")
        units = units.astype(np.int32)
        if groups is None:
            groups, _ = self.grouper.group(units, self.rule, name)
        hop = self.model.config.mel.hop_length
        samples = self.model.frame_map.num_samples(len(units), hop)
        return self._resampled(self.model.synthesize(Content(units, groups, samples), voice, name))

    def voice(self, waveform: np.ndarray, sample_rate: int) -> Reference:
        """The voice in a mono waveform (samples,) of a second or more.

        Raises EntcompError for a short or silent one.
        """
        at = partial(resample, as_float32(waveform, "reference"), sample_rate)
        return self._listen(at, "reference")

    def record(self, path: Path, channel: int | None = None) -> Recording:
        """A recording of any format, and its groups. Raises EntcompError for bad audio."""
        return self._record(partial(read_wav, path, channel=channel), str(path))

    def listen(self, path: Path) -> Reference:
        """The voice in a recording of any format; errors as those of `voice`."""
        return self._listen(partial(read_wav, path), f"reference {path}")

    def _record(self, at: At, name: str) -> Recording:
        if not isinstance(self.grouper, Tokenizer):
            raise EntcompError(
                f"{name}: the model reads imported units, which nothing here makes of audio; "
                "convert a data dir that has units, or synthesize units"
            )
        rate = self.info.sample_rate
        found = self.grouper.encode(at(rate), rate, rule=self.rule, name=name)
        return Recording(at(self.mel_rate), found.units, found.groups)

    @property
    def mel_rate(self) -> int:
        """The rate in Hz of what the model makes."""
        return self.model.config.mel.sample_rate

    def _resampled(self, waveform: np.ndarray) -> np.ndarray:
        return resample(waveform, self.mel_rate, self.sample_rate)

    def _listen(self, at: At, name: str) -> Reference:
        try:
            waveform = at(speaker.SAMPLE_RATE)
            check_reference(len(waveform), speaker.SAMPLE_RATE)
            embedding = self.voices.embed(waveform)
        except EntcompError as error:
            raise EntcompError(f"{name}: {error}") from None
        if self.info.has_extractor:
            return self.model.reference(self._record(at, name), embedding)
        log.warning("%s: its units are not known here; only its voice's embedding counts", name)
        return self.model.voice(embedding)


def find_model(exp: Path | None, model: str | None) -> Model:
    """A converter of an experiment, ``vc/TAG`` or its only one, or a model as `hub.open_model`
    knows it, which needs no experiment.

    Raises EntcompError where it is not said which, or there is no such model.
    """
    of_experiment = model is None or re.fullmatch(r"(vc/)?[^/]+", model)
    if exp is not None and of_experiment and not str(model).endswith(".tar"):
        tag = model and check_task(Experiment(exp), f"vc/{model.removeprefix('vc/')}")
        return Model(Experiment(exp), tag)
    if model is None:
        raise EntcompError("give EXP, or --model with an experiment, a pack or USER/NAME")
    return open_model(model)

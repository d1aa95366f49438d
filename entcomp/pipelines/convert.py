"""Speech in another voice: recordings and sets through a trained converter and a vocoder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.packing import Model, check_task
from entcomp.artifacts.stage import Stage
from entcomp.artifacts.streams import Stream, group_rate, read_streams, stream_sha256
from entcomp.audio.decode import audio_info
from entcomp.audio.read import as_float32, read_utterance, read_wav, resample
from entcomp.errors import EntcompError
from entcomp.evaluation.voices import speaker
from entcomp.files import atomic_path, sha256_file
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table, read_table, write_table
from entcomp.pipelines.hub import open_model
from entcomp.pipelines.tokenizer import Tokenizer
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances
from entcomp.tasks.vc.content import FrameMap
from entcomp.tasks.vc.convert import Converter, Recording, Reference, check_reference
from entcomp.tasks.vc.train import load_converter
from entcomp.tasks.vc.vocoders import load_vocoder

At = Callable[[int], np.ndarray]  # a recording's samples at a rate in Hz


class VoiceConverter:
    """A converter of compressed units, as ``entcomp train-vc`` trains it, with a vocoder.

    >>> from entcomp import VoiceConverter
    >>> converter = VoiceConverter.from_pretrained("exp/vc/tiny")
    >>> voice = converter.voice(reference, sample_rate)
    >>> converted = converter.convert(waveform, sample_rate, voice)
    >>> converted.dtype, len(converted) / converter.sample_rate
    (dtype('float32'), 3.0)

    ``sample_rate`` (Hz) is that of converted speech; ``facts`` are what it depends on.
    """

    def __init__(
        self,
        experiment: Experiment,
        tag: str,
        vocoder: str | Path | None = None,
        checkpoint: Path | None = None,
        seed: int = 0,
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
        self.tokenizer = Tokenizer.open(experiment, checkpoint)
        self.rule = self.tokenizer.stored_rule(info.segments)
        self.voices = speaker.SpeakerEncoder()

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        vocoder: str | Path | None = None,
        checkpoint: Path | None = None,
        seed: int = 0,
        local_files_only: bool = False,
        **sampler: float | None,
    ) -> VoiceConverter:
        """The converter of ``exp/vc/TAG``, ``exp``, ``pack.tar`` or, on the hub, ``user/name``.

        See `hub.open_model`. The tag may be left out where there is only one. ``vocoder`` is one's
        name or checkpoint, by default as in `load_vocoder`. ``checkpoint`` are the extractor's
        weights on disk. ``seed`` is of the noise that a mel is drawn from; ``sampler`` are
        ``steps``, ``guidance``, ``voice_guidance`` and ``temperature``, by default as in the
        model's config. Raises EntcompError where there is no such model.
        """
        return cls.open(open_model(model, local_files_only), vocoder, checkpoint, seed, **sampler)

    @classmethod
    def open(
        cls,
        model: Model,
        vocoder: str | Path | None = None,
        checkpoint: Path | None = None,
        seed: int = 0,
        **sampler: float | None,
    ) -> VoiceConverter:
        """The converter of a model; see `from_pretrained`."""
        tag = model.of_task("vc").removeprefix("vc/")
        return cls(model.experiment, tag, vocoder, checkpoint, seed, **sampler)

    @property
    def sample_rate(self) -> int:
        return self.model.config.mel.sample_rate

    def convert(self, waveform: np.ndarray, sample_rate: int, voice: Reference) -> np.ndarray:
        """A mono waveform, (samples,), in another voice: float32 at `sample_rate`, as long and as
        loud. Raises EntcompError for a waveform shorter than a frame.
        """
        at = partial(_resampled, as_float32(waveform, "waveform"), sample_rate)
        return self.model(self._record(at, "waveform"), voice, "waveform")

    def voice(self, waveform: np.ndarray, sample_rate: int) -> Reference:
        """The voice in a mono waveform (samples,) of a second or more.

        Raises EntcompError for a short or silent one.
        """
        at = partial(_resampled, as_float32(waveform, "reference"), sample_rate)
        return self._listen(at, "reference")

    def record(self, path: Path, channel: int | None = None) -> Recording:
        """A recording of any format, and its groups. Raises EntcompError for bad audio."""
        return self._record(partial(read_wav, path, channel=channel), str(path))

    def listen(self, path: Path) -> Reference:
        """The voice in a recording of any format; errors as those of `voice`."""
        return self._listen(partial(read_wav, path), f"--reference {path}")

    def _record(self, at: At, name: str) -> Recording:
        rate = self.tokenizer.info.sample_rate
        found = self.tokenizer.encode(at(rate), rate, rule=self.rule, name=name)
        return Recording(at(self.sample_rate), found.units, found.groups)

    def _listen(self, at: At, name: str) -> Reference:
        try:
            waveform = at(speaker.SAMPLE_RATE)
            check_reference(len(waveform), speaker.SAMPLE_RATE)
            embedding = self.voices.embed(waveform)
        except EntcompError as error:
            raise EntcompError(f"{name}: {error}") from None
        return self.model.reference(self._record(at, name), embedding)


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


def _resampled(waveform: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    return resample(waveform, rate, sample_rate)


def convert_file(
    converter: VoiceConverter,
    source: Path,
    reference: Path,
    output: Path,
    channel: int | None = None,
) -> str:
    """Convert one recording; returns lines on what was done."""
    voice = converter.listen(reference)
    waveform = converter.model(converter.record(source, channel), voice, source.stem)
    write_wav(output, waveform, converter.sample_rate)
    rate, vocoder = converter.sample_rate, converter.facts["vocoder"]
    done = f"{output}: {len(waveform)} samples at {rate} Hz, {vocoder}"
    return "\n".join([*(_describe(path, rate) for path in (source, reference)), done])


def convert_set(
    converter: VoiceConverter,
    data_set: DataDir,
    reference: Path,
    folder: Path,
    skip_bad: bool,
    allow_pipes: bool,
) -> str:
    """Make ``folder`` a data dir of converted utterances; returns a line on what was done.

    ``utt2ref`` names each one's reference, and ``text`` is the source's.
    """
    stream = stream_sha256(converter.experiment, data_set.name, converter.facts["segments"])
    inputs = {**converter.facts, "reference_sha256": sha256_file(reference), "stream": stream}
    if data_set.channel is not None:
        inputs["channel"] = data_set.channel
    stage = Stage(folder, inputs)
    if stage.is_complete():
        return "complete, skipped"
    stage.start()
    skipped = SkippedUtterances(skip_bad)
    streams = list(read_streams(converter.experiment, data_set.name, converter.facts["segments"]))
    sources = list(_sources(converter, data_set, streams, allow_pipes))
    used = dict(_converted(converter, data_set.name, sources, reference, folder, skipped))
    _write_tables(folder, data_set, used)
    skipped.write(folder / "skipped.txt")
    rate = group_rate(streams, converter.tokenizer.info.frame_shift)
    stage.finish({"utterances": len(used), "skipped": len(skipped), "rate": rate})
    return (
        f"{len(used)} utterances to {folder}, {len(skipped)} skipped, {converter.facts['vocoder']}"
    )


def _converted(
    converter: VoiceConverter,
    set_name: str,
    sources: Sequence[tuple[str, Callable[[], Recording]]],
    reference: Path,
    folder: Path,
    skipped: SkippedUtterances,
) -> Iterator[tuple[str, Path]]:
    """Write ``wav/<utt_id>.wav`` one by one; yields ``(utt_id, its reference)``."""
    reference_of = _references(reference)
    voices: dict[Path, Reference] = {}
    for utt_id, read in track(sources, f"{set_name}: convert"):
        with skipped.guard(utt_id):
            path = reference_of(utt_id)
            if path not in voices:
                voices[path] = converter.listen(path)
            waveform = converter.model(read(), voices[path], utt_id)
            write_wav(wav_path(folder, utt_id), waveform, converter.sample_rate)
            yield utt_id, path


def _sources(
    converter: VoiceConverter, data_set: DataDir, streams: Iterable[Stream], allow_pipes: bool
) -> Iterator[tuple[str, Callable[[], Recording]]]:
    """The utterances of a set that have units and groups, and how to read each."""

    def read(audio: Any, units: np.ndarray, groups: np.ndarray) -> Recording:
        return Recording(read_utterance(audio, converter.sample_rate, allow_pipes), units, groups)

    audio = {one.utt_id: one for one in data_set.utterances()}
    for utt_id, units, groups in streams:
        if utt_id not in audio:
            raise EntcompError(f"{data_set.path / 'wav.scp'}: {utt_id} has units, but is not here")
        yield utt_id, partial(read, audio[utt_id], units, groups)


def _references(path: Path) -> Callable[[str], Path]:
    """One recording for all, or a table of ``utt_id wav``."""
    if not path.is_file():
        raise EntcompError(f"--reference {path}: no such file")
    if path.suffix.lower() not in ("", ".scp", ".txt"):
        return lambda utt_id: path
    table = read_table(path)

    def find(utt_id: str) -> Path:
        if utt_id not in table:
            raise EntcompError(f"{path}: no reference for {utt_id}; add a line '{utt_id} WAV'")
        return Path(table[utt_id])

    return find


def _write_tables(folder: Path, data_set: DataDir, used: dict[str, Path]) -> None:

    write_table(folder / "wav.scp", ((one, str(wav_path(folder, one))) for one in used))
    write_table(folder / "utt2ref", ((one, str(path)) for one, path in used.items()))
    text = data_set.path / "text"
    if text.exists():
        rows = iter_table(text, empty_values=True)
        write_table(folder / "text", (row for row in rows if row[0] in used))


def wav_path(folder: Path, utt_id: str) -> Path:
    """Where an utterance's audio lies in a folder that `convert_set` or score-vc has written."""
    return folder / "wav" / f"{utt_id}.wav"


def write_wav(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """A 16-bit WAV file, complete or not at all."""

    with atomic_path(path) as temporary:
        soundfile.write(temporary, waveform, sample_rate, format="WAV", subtype="PCM_16")


def _describe(path: Path, sample_rate: int) -> str:
    """What is done to a recording before it is used."""
    found = audio_info(path)
    steps = ["mixed down to mono"] if found.channels > 1 else []
    if found.sample_rate != sample_rate:
        lost = f" (it has nothing above {found.sample_rate // 2} Hz)"
        lost = lost if found.sample_rate < 16000 else ""
        steps.append(f"resampled to {sample_rate} Hz{lost}")
    channels = f"{found.channels} channel" + ("s" if found.channels > 1 else "")
    done = ", ".join(steps) or "used as it is"
    return f"{path}: {found.seconds:.2f} s, {channels} at {found.sample_rate} Hz: {done}"

"""What `convert` does: recordings and sets through a trained converter and a vocoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from entcomp.artifacts.experiment import Experiment
    from entcomp.evaluation.voices.speaker import SpeakerEncoder
    from entcomp.kaldi.datadir import DataDir
    from entcomp.pipelines.tokenizer import Tokenizer
    from entcomp.segmentation.rule import Rule
    from entcomp.skipped import SkippedUtterances
    from entcomp.tasks.vc.convert import Converter, Recording, Reference


@dataclass(frozen=True)
class Room:
    """Everything that a conversion needs; ``facts`` are what its result depends on."""

    experiment: Experiment
    converter: Converter
    tokenizer: Tokenizer
    rule: Rule
    voices: SpeakerEncoder
    facts: dict[str, Any]

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        folder: Path,
        vocoder: str | None,
        sampler: dict[str, Any],
        seed: int,
        checkpoint: Path | None,
    ) -> Room:
        """Load all models; what is None in ``sampler`` stays as the model's config has it."""
        from entcomp.evaluation.voices.speaker import SpeakerEncoder
        from entcomp.files import sha256_file
        from entcomp.pipelines.tokenizer import Tokenizer
        from entcomp.tasks.vc.content import Clock
        from entcomp.tasks.vc.convert import Converter
        from entcomp.tasks.vc.train import load_converter
        from entcomp.tasks.vc.vocoders import load_vocoder

        units = experiment.units_info()
        model, info = load_converter(folder, units)
        given = {name: value for name, value in sampler.items() if value is not None}
        converter = Converter(
            model=model,
            clock=Clock.between(units, model.config.mel),
            vocoder=load_vocoder(vocoder, model.config.mel),
            sampler=model.config.sampler.model_copy(update=given),
            seed=seed,
        )
        facts = {
            "model": f"vc/{folder.name}",
            "model_sha256": sha256_file(folder / "model.safetensors"),
            "segments": info.segments,
            "mel": model.config.mel.model_dump(),
            "sampler": converter.sampler.model_dump(),
            "seed": seed,
            "vocoder": converter.vocoder.name,
            "vocoder_sha256": converter.vocoder.sha256,
        }
        tokenizer = Tokenizer.open(experiment, checkpoint)
        rule = tokenizer.stored_rule(info.segments)
        return cls(experiment, converter, tokenizer, rule, SpeakerEncoder(), facts)

    @property
    def sample_rate(self) -> int:
        return self.converter.config.mel.sample_rate

    def record(self, path: Path) -> Recording:
        """A recording of any format, and its groups. Raises EntcompError for bad audio."""
        from entcomp.audio.read import read_wav
        from entcomp.tasks.vc.convert import Recording

        rate = self.tokenizer.info.sample_rate
        found = self.tokenizer.encode(read_wav(path, rate), rate, rule=self.rule, name=str(path))
        return Recording(read_wav(path, self.sample_rate), found.units, found.groups)

    def listen(self, path: Path) -> Reference:
        """The voice in a recording. Raises EntcompError for a short or silent one."""
        from entcomp.audio.read import read_wav
        from entcomp.errors import EntcompError
        from entcomp.evaluation.voices.speaker import SAMPLE_RATE
        from entcomp.tasks.vc.convert import check_reference

        try:
            waveform = read_wav(path, SAMPLE_RATE)
            check_reference(len(waveform), SAMPLE_RATE)
            embedding = self.voices.embed(waveform)
        except EntcompError as error:
            raise EntcompError(f"--reference {path}: {error}") from None
        return self.converter.reference(self.record(path), embedding)


def convert_file(room: Room, source: Path, reference: Path, output: Path) -> str:
    """Convert one recording; returns lines on what was done."""
    voice = room.listen(reference)
    waveform = room.converter(room.record(source), voice, source.stem)
    write_wav(output, waveform, room.sample_rate)
    done = f"{output}: {len(waveform)} samples at {room.sample_rate} Hz, {room.facts['vocoder']}"
    return "\n".join([*(_describe(path, room.sample_rate) for path in (source, reference)), done])


def convert_set(
    room: Room, data_set: DataDir, reference: Path, folder: Path, skip_bad: bool, allow_pipes: bool
) -> str:
    """Make ``folder`` a data dir of converted utterances; returns a line on what was done.

    ``utt2ref`` names each one's reference, and ``text`` is the source's.
    """
    from entcomp.artifacts.stage import Stage
    from entcomp.artifacts.streams import stream_rate, stream_sha256
    from entcomp.files import sha256_file
    from entcomp.skipped import SkippedUtterances

    stream = stream_sha256(room.experiment, data_set.name, room.facts["segments"])
    inputs = {**room.facts, "reference_sha256": sha256_file(reference), "stream": stream}
    stage = Stage(folder, inputs)
    if stage.is_complete():
        return "complete, skipped"
    stage.start()
    skipped = SkippedUtterances(skip_bad)
    used = dict(_converted(room, data_set, reference, folder, skipped, allow_pipes))
    _write_tables(folder, data_set, used)
    skipped.write(folder / "skipped.txt")
    rate = stream_rate(room.experiment, data_set.name, room.facts["segments"])
    stage.finish({"utterances": len(used), "skipped": len(skipped), "rate": rate})
    return f"{len(used)} utterances to {folder}, {len(skipped)} skipped, {room.facts['vocoder']}"


def _converted(
    room: Room,
    data_set: DataDir,
    reference: Path,
    folder: Path,
    skipped: SkippedUtterances,
    allow_pipes: bool,
) -> Iterator[tuple[str, Path]]:
    """Write ``wav/<utt_id>.wav`` one by one; yields ``(utt_id, its reference)``."""
    from entcomp.progress import track

    reference_of = _references(reference)
    voices: dict[Path, Reference] = {}
    sources = list(_sources(room, data_set, allow_pipes))
    for utt_id, read in track(sources, f"{data_set.name}: convert"):
        with skipped.guard(utt_id):
            path = reference_of(utt_id)
            if path not in voices:
                voices[path] = room.listen(path)
            waveform = room.converter(read(), voices[path], utt_id)
            write_wav(wav_path(folder, utt_id), waveform, room.sample_rate)
            yield utt_id, path


def _sources(
    room: Room, data_set: DataDir, allow_pipes: bool
) -> Iterator[tuple[str, Callable[[], Recording]]]:
    """The utterances of a set that have units and groups, and how to read each."""
    from entcomp.artifacts.streams import read_streams
    from entcomp.audio.read import read_utterance
    from entcomp.errors import EntcompError
    from entcomp.tasks.vc.convert import Recording

    def read(audio: Any, units: np.ndarray, groups: np.ndarray) -> Recording:
        return Recording(read_utterance(audio, room.sample_rate, allow_pipes), units, groups)

    audio = {one.utt_id: one for one in data_set.utterances()}
    segments = room.facts["segments"]
    for utt_id, units, groups in read_streams(room.experiment, data_set.name, segments):
        if utt_id not in audio:
            raise EntcompError(f"{data_set.path / 'wav.scp'}: {utt_id} has units, but is not here")
        yield utt_id, partial(read, audio[utt_id], units, groups)


def _references(path: Path) -> Callable[[str], Path]:
    """One recording for all, or a table of ``utt_id wav``."""
    from entcomp.errors import EntcompError
    from entcomp.kaldi.table import read_table

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
    from entcomp.kaldi.table import iter_table, write_table

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
    import soundfile

    from entcomp.files import atomic_path

    with atomic_path(path) as temporary:
        soundfile.write(temporary, waveform, sample_rate, format="WAV", subtype="PCM_16")


def _describe(path: Path, sample_rate: int) -> str:
    """What is done to a recording before it is used."""
    import soundfile

    found = soundfile.info(path)
    steps = ["mixed down to mono"] if found.channels > 1 else []
    if found.samplerate != sample_rate:
        lost = f" (it has nothing above {found.samplerate // 2} Hz)"
        lost = lost if found.samplerate < 16000 else ""
        steps.append(f"resampled to {sample_rate} Hz{lost}")
    channels = f"{found.channels} channel" + ("s" if found.channels > 1 else "")
    done = ", ".join(steps) or "used as it is"
    return f"{path}: {found.duration:.2f} s, {channels} at {found.samplerate} Hz: {done}"

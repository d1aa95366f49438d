"""A recogniser or translator that was trained on units: the whole path from audio to words."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import as_float32, resample
from entcomp.audio.silence import split_at_silences
from entcomp.pipelines.hub import open_model
from entcomp.pipelines.tokenizer import Tokenized, Tokenizer
from entcomp.segmentation.rule import Rule
from entcomp.tasks.text.search import TextSearch
from entcomp.tasks.text.train import TrainedTextModel
from entcomp.units.stream import Recording

LONGEST = 20.0  # seconds; longer recordings are cut at silences
TOGETHER = 32  # pieces, at most, that are decoded together

log = logging.getLogger(__name__)

Own = TypeVar("Own", bound="SpeechToText")


@dataclass(frozen=True)
class Piece:
    """What is said from ``start`` to ``end``, in seconds of the recording."""

    start: float
    end: float
    text: str


class SpeechToText:
    """What `Recognizer` and `Translator` share.

    ``rule`` are the thresholds that make the groups: those that the model was trained with, unless
    others are set, as in ``recognizer.rule = recognizer.tokenizer.rule(target_rate=7.0)``. ``key``
    names the model among others, ``name`` its weights too.
    """

    task: ClassVar[str]  # where models are: EXP/TASK/TAG

    def __init__(self, experiment: Experiment, model: str, checkpoint: Path | None = None) -> None:
        """``model`` is as in ``asr/TAG``. Raises EntcompError if it was not trained there."""
        trained = TrainedTextModel.open(experiment, model)
        self.key = trained.folder.name
        self.name = f"{model} {trained.weights_sha256[:12]}"
        self.tokenizer = Tokenizer.open(experiment, checkpoint)
        self.trained = trained
        self.search = TextSearch(trained.model, trained.vocabulary, trained.config.decoding)
        log.info("%s: reads %s", trained.folder, trained.info.segments)

    @classmethod
    def from_pretrained(
        cls: type[Own],
        model: str | Path,
        checkpoint: Path | None = None,
        local_files_only: bool = False,
    ) -> Own:
        """The model of ``exp/asr/TAG``, ``exp``, ``pack.tar`` or, on the hub, ``user/name``.

        See `hub.open_model`. The tag may be left out where there is only one. ``checkpoint`` are
        the extractor's weights on disk; Moonshine's are fetched when they are first needed. Raises
        EntcompError for a model of another task, and where it is not said which.
        """
        found = open_model(model, local_files_only)
        return cls(found.experiment, found.of_task(cls.task), checkpoint)

    @cached_property
    def rule(self) -> Rule:
        return self.tokenizer.stored_rule(self.trained.stream_of(self.trained.info.segments))

    def pieces(
        self, waveform: np.ndarray, sample_rate: int, longest: float = LONGEST
    ) -> list[Piece]:
        """The text of a mono waveform, (samples,) floats within ±1 or integers, cut at silences.

        No piece lasts more than ``longest`` seconds. Raises EntcompError for a waveform shorter
        than a frame.
        """
        rate = self.tokenizer.info.sample_rate
        samples = resample(as_float32(waveform, "waveform"), sample_rate, rate)
        parts = split_at_silences([samples], rate, longest)
        recordings = (Recording("waveform", [piece], first=first) for first, piece in parts)
        found = []
        for recording, piece in self.read_recordings(recordings):
            if recording.error:
                raise recording.error
            found.append(piece)
        return found

    def read_recordings(
        self, recordings: Iterable[Recording], num_jobs: int = 1
    ) -> Iterator[tuple[Recording, Piece]]:
        """The text of each recording, at the extractor's rate and none longer than the training's.

        ``num_jobs`` threads extract features. A bad recording has its ``error`` set, and an empty
        text.
        """
        found = self.tokenizer.encode_recordings(recordings, self.rule, num_jobs)
        while some := list(islice(found, TOGETHER)):
            good = [result for _, result in some if isinstance(result, Tokenized)]
            texts = iter(self.read(good))
            for recording, result in some:
                start = recording.first / self.tokenizer.info.sample_rate
                if isinstance(result, Tokenized):
                    yield recording, Piece(start, start + result.duration, next(texts))
                else:
                    recording.error = result
                    yield recording, Piece(start, start, "")

    def read(self, found: Sequence[Tokenized]) -> list[str]:
        """The words in each recording's groups, in batches of similar length."""
        return self.search.texts([self.trained.tokens(one.units, one.groups) for one in found])

    def _text(self, waveform: np.ndarray, sample_rate: int) -> str:
        return join_texts(self.pieces(waveform, sample_rate))


def join_texts(pieces: Iterable[Piece]) -> str:
    return " ".join(piece.text for piece in pieces if piece.text)


class Recognizer(SpeechToText):
    """A recogniser of compressed units, as ``entcomp train-asr`` trains it.

    >>> from entcomp import Recognizer
    >>> recognizer = Recognizer.from_pretrained("exp/asr/tiny")
    >>> text = recognizer.transcribe(waveform, sample_rate)
    >>> [(piece.start, piece.end) for piece in recognizer.pieces(waveform, sample_rate)]
    [(0.0, 3.0)]
    """

    task = "asr"

    def transcribe(self, waveform: np.ndarray, sample_rate: int = 16_000) -> str:
        """The words in a mono waveform, (samples,) floats within ±1, of any length.

        Raises EntcompError for a waveform shorter than a frame.
        """
        return self._text(waveform, sample_rate)


class Translator(SpeechToText):
    """A translator of speech, as ``entcomp train-st`` trains it.

    >>> from entcomp import Translator
    >>> translator = Translator.from_pretrained("exp/st/tiny")
    >>> text = translator.translate(waveform, sample_rate)
    """

    task = "st"

    def translate(self, waveform: np.ndarray, sample_rate: int = 16_000) -> str:
        """What a mono waveform says, (samples,) floats within ±1, in the model's language.

        Raises EntcompError for a waveform shorter than a frame.
        """
        return self._text(waveform, sample_rate)

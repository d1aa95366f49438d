"""Conversion: one recording's content, or units alone, in somebody's voice."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from entcomp.audio.mel import MelConfig, log_mel
from entcomp.errors import EntcompError
from entcomp.tasks.vc.config import SamplerConfig, VcConfig
from entcomp.tasks.vc.content import FrameMap, regulate_lengths
from entcomp.tasks.vc.dataset import Excerpt, collate, mel_frames
from entcomp.tasks.vc.model import VoiceConverter
from entcomp.tasks.vc.vocoder import Vocoder

MIN_REFERENCE = 1.0  # seconds
OVERLAP = 0.4  # seconds, of the pieces of a long source
# A long recording is drawn so many pieces at a time, and goes through the vocoder in parts that end
# where it is quiet: what they take of memory does not grow with its length.
PIECES = 8
# Parts of 30 s take 1.6 times as much of a core: the system clears memory that is asked for anew.
LONGEST_PART = 10.0  # seconds
# For each new length of its input a CPU keeps what it has prepared, 150 MB for a part of 10 s: so
# the vocoder gets parts of so many lengths and no others.
LENGTHS = 5
PEAK = 0.99  # of a waveform that would clip at the source's loudness


def _ignore(done: float) -> None:
    """Takes reports of progress and does nothing."""


@dataclass(frozen=True)
class Content:
    """What is said: units (frames,) and their groups, in ``samples`` at the mel's rate."""

    units: np.ndarray
    groups: np.ndarray
    samples: int


@dataclass(frozen=True)
class Recording:
    """A waveform (samples,) at the mel's rate, its units (frames,) and its groups."""

    waveform: np.ndarray
    units: np.ndarray
    groups: np.ndarray

    @property
    def content(self) -> Content:
        return Content(self.units, self.groups, len(self.waveform))


@dataclass(frozen=True)
class Reference:
    """The voice to speak with: a stretch of its speech, and its embedding."""

    prompt: Excerpt
    embedding: np.ndarray


@dataclass(frozen=True)
class Converter:
    """A trained model with a vocoder, and the settings of the sampler."""

    model: VoiceConverter
    frame_map: FrameMap
    vocoder: Vocoder
    sampler: SamplerConfig
    seed: int

    @property
    def config(self) -> VcConfig:
        return self.model.config

    def reference(self, recording: Recording, embedding: np.ndarray) -> Reference:
        """The loudest ``max_prompt`` seconds of a recording, and its voice's embedding."""
        mel = self.config.mel
        spectrum = log_mel(torch.from_numpy(recording.waveform), mel)
        whole = self._excerpt(spectrum, recording.content)
        frames = min(len(whole.mel), mel_frames(self.config.batch.max_prompt, mel))
        energy = whole.mel.mean(dim=1).unfold(0, frames, 1).mean(dim=1)
        return Reference(whole.cut(int(energy.argmax()), frames), embedding)

    def voice(self, embedding: np.ndarray) -> Reference:
        """A voice's embedding alone, where nothing tells the units of its speech."""
        nothing = torch.zeros(0, self.config.mel.n_mels), np.zeros(0, np.int64)
        some_unit = np.zeros(1, np.int32), np.ones(1, np.int32)  # on none of its mel frames
        return Reference(Excerpt(*nothing, *some_unit), embedding)

    def mel_of(
        self,
        content: Content,
        reference: Reference,
        utt_id: str,
        progress: Callable[[float], None] = _ignore,
    ) -> Tensor:
        """Draw the log mel (frames, n_mels); it depends on the seed and the id, not on others.

        ``progress`` is called with the parts of it that have been done, which sum to 1.
        """
        mel = self.config.mel
        whole = self._excerpt(torch.zeros(mel.num_frames(content.samples), mel.n_mels), content)
        overlap = mel_frames(OVERLAP, mel)
        firsts, length = pieces(
            len(whole.mel), mel_frames(self.config.batch.max_target, mel), overlap
        )
        drawn = []
        for number in range(0, len(firsts), PIECES):
            targets = [whole.cut(first, length) for first in firsts[number : number + PIECES]]
            seed = zlib.crc32(f"{self.seed} {utt_id}{f' {number}' if number else ''}".encode())
            drawn.append(self._draw(targets, reference, seed))
            progress(len(targets) / len(firsts))
        return cross_fade(torch.cat(drawn), firsts)

    def _draw(self, targets: Sequence[Excerpt], reference: Reference, seed: int) -> Tensor:
        """Log mels (P, M, N) of equally long targets."""
        batch = collate(
            [(reference.prompt, target) for target in targets],
            [reference.embedding] * len(targets),
            self.config.merge_runs,
        )
        drawn = self.model.sample(batch.to(self.model.mel_mean.device), self.sampler, seed)
        return drawn[:, len(reference.prompt.mel) :].cpu()

    def __call__(
        self,
        source: Recording,
        reference: Reference,
        utt_id: str,
        progress: Callable[[float], None] = _ignore,
    ) -> np.ndarray:
        """Samples at the mel's rate, as many and of the same RMS as the source's.

        ``progress`` is called with the parts of the work that have been done, which sum to 1.
        """
        waveform = self._waveform(source.content, reference, utt_id, progress)
        return match_loudness(waveform, source.waveform)

    def synthesize(self, content: Content, reference: Reference, utt_id: str) -> np.ndarray:
        """Samples at the mel's rate, as loud as the model makes them, short of clipping."""
        waveform = self._waveform(content, reference, utt_id)
        return waveform * min(1.0, PEAK / max(np.abs(waveform).max(), 1e-9))

    def _waveform(
        self,
        content: Content,
        reference: Reference,
        utt_id: str,
        progress: Callable[[float], None] = _ignore,
    ) -> np.ndarray:
        def half(done: float) -> None:  # of the work: drawing, or the vocoder
            progress(done / 2)

        mel, hop = self.mel_of(content, reference, utt_id, half), self.config.mel.hop_length
        longest = mel_frames(LONGEST_PART, self.config.mel)
        parts, begin = [], 0
        for part in quiet_parts(mel, longest):
            first, last = window(begin, begin + len(part), len(mel), longest)
            samples = self.vocoder(mel[first:last]).numpy()[(begin - first) * hop :]
            parts.append(samples[: len(part) * hop])
            begin += len(part)
            half(len(part) / len(mel))
        return np.concatenate(parts)[: content.samples]

    def _excerpt(self, mel: Tensor, content: Content) -> Excerpt:
        rows = regulate_lengths(content.groups, len(mel), self.frame_map, self.config.layout)
        return Excerpt(mel, rows, content.units, content.groups)


def resynthesise(waveform: np.ndarray, mel: MelConfig, vocoder: Vocoder) -> np.ndarray:
    """What the vocoder makes of a waveform's (samples,) own mel: the best it could do."""
    copy = vocoder(log_mel(torch.from_numpy(waveform), mel)).numpy()
    return match_loudness(copy[: len(waveform)], waveform)


def check_reference(samples: int, sample_rate: int) -> None:
    """Raises EntcompError for less than MIN_REFERENCE seconds."""
    if samples < MIN_REFERENCE * sample_rate:
        raise EntcompError(
            f"{samples / sample_rate:.2f} s are too short; give a reference of "
            f"{MIN_REFERENCE:g} s or more"
        )


def pieces(frames: int, longest: int, overlap: int) -> tuple[list[int], int]:
    """First frames of equally long pieces that overlap and cover ``frames``, and their length."""
    if frames <= longest:
        return [0], frames
    if overlap >= longest:  # of a model that was trained on very short targets
        overlap = longest // 2
    count = -(-(frames - overlap) // (longest - overlap))
    length = -(-(frames + (count - 1) * overlap) // count)
    return [round(i * (frames - length) / (count - 1)) for i in range(count)], length


def quiet_parts(mel_MN: Tensor, longest: int) -> list[Tensor]:
    """A log mel (frames, n_mels) in parts of at most ``longest`` frames, cut where it is quietest.

    Each but the last has at least half of ``longest``.
    """
    parts = []
    while len(mel_MN) > longest:
        loudness = mel_MN[longest // 2 : longest].exp().sum(dim=1)
        cut = longest // 2 + int(loudness.argmin())
        parts.append(mel_MN[:cut])
        mel_MN = mel_MN[cut:]
    return [*parts, mel_MN]


def window(begin: int, end: int, frames: int, longest: int) -> tuple[int, int]:
    """The frames from ``begin`` to ``end``, of ``frames``, and some around: one of few lengths.

    ``(first, last)``, at most ``longest`` apart, as ``begin`` and ``end`` are. A recording that is
    no longer than that is taken as it is.
    """
    step = max(1, longest // LENGTHS)
    count = min(-(-(end - begin) // step) * step, longest, frames)
    first = min(begin, frames - count)
    return first, first + count


def cross_fade(pieces_PMN: Tensor, firsts: Sequence[int]) -> Tensor:
    """Join overlapping pieces (P, M, N) that begin at ``firsts``, weighted by a trapezoid."""
    length = pieces_PMN.shape[1]
    total = torch.zeros(firsts[-1] + length, pieces_PMN.shape[2])
    weight = torch.zeros(len(total), 1)
    overlap = max((firsts[i - 1] + length - firsts[i] for i in range(1, len(firsts))), default=0)
    ramp = torch.arange(1, length + 1).clamp(max=overlap + 1)
    window = torch.minimum(ramp, ramp.flip(0)).float().unsqueeze(1)
    for first, piece in zip(firsts, pieces_PMN, strict=True):
        total[first : first + length] += piece * window
        weight[first : first + length] += window
    return total / weight


def match_loudness(waveform: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The waveform at the RMS of another, or as near to it as it can come without clipping."""
    rms, peak = np.sqrt(np.mean(np.square(waveform, dtype=np.float64))), np.abs(waveform).max()
    gain = np.sqrt(np.mean(np.square(like, dtype=np.float64))) / max(rms, 1e-9)
    return (waveform * min(gain, PEAK / max(peak, 1e-9))).astype(np.float32)

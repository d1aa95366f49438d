"""Training examples: a prompt and a target by the same speaker, as a pure function of the step."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from entcomp.artifacts.runs import starts_of
from entcomp.audio.mel import MelConfig, log_mel
from entcomp.audio.read import read_utterance
from entcomp.encoder.packed import PackedTokens, group_tokens
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import Utterance
from entcomp.tasks.vc.config import VcConfig
from entcomp.tasks.vc.content import FrameMap, regulate_lengths
from entcomp.tasks.vc.corpus import VcUtterance
from entcomp.tasks.vc.model import VcBatch

CONTEXT = 40  # mel frames on each side of an excerpt whose groups are encoded too
# Log mels that a process keeps: at 5 s each, 0.6 GB.
CACHED_MELS = 4096


@dataclass(frozen=True)
class Excerpt:
    """Mel frames of an utterance (M, n_mels), the row of each, and the groups that rows count.

    ``rows`` (M,) count from 1.
    """

    mel: Tensor
    rows: np.ndarray
    units: np.ndarray
    groups: np.ndarray

    def cut(self, first: int, frames: int) -> Excerpt:
        """``frames`` of it from ``first`` on, and the groups there and up to CONTEXT frames away.

        All of an utterance's groups would cost more than they tell.
        """
        part = slice(first, first + frames)
        near = self.rows[max(0, first - CONTEXT) : part.stop + CONTEXT] if frames else self.rows[:0]
        near = near[near > 0]
        # A stretch inside of one long group has no row; a table has one group at least.
        low, high = (int(near.min()), int(near.max())) if len(near) else (1, 1)
        starts = starts_of(self.groups)
        end = starts[high - 1] + self.groups[high - 1]
        rows = self.rows[part]
        return Excerpt(
            mel=self.mel[part],
            rows=np.where(rows > 0, rows - (low - 1), 0),
            units=self.units[starts[low - 1] : end],
            groups=self.groups[low - 1 : high],
        )


def collate(
    pairs: Sequence[tuple[Excerpt, Excerpt]],
    embeddings: Sequence[np.ndarray],
    merge_runs: bool,
) -> VcBatch:
    """Batch (prompt, target) pairs; a prompt may have no frames."""
    lengths = [len(prompt.mel) + len(target.mel) for prompt, target in pairs]
    size = len(pairs), max(lengths)
    mel = torch.zeros(*size, pairs[0][1].mel.shape[1])
    rows = torch.zeros(size, dtype=torch.int64)
    is_prompt, is_target = torch.zeros(size, dtype=torch.bool), torch.zeros(size, dtype=torch.bool)
    grouped, before = [], 0
    for b, pair in enumerate(pairs):
        first = 0
        for excerpt, mask in zip(pair, (is_prompt, is_target), strict=True):
            frames = slice(first, first + len(excerpt.mel))
            mel[b, frames] = excerpt.mel
            rows[b, frames] = torch.from_numpy(np.where(excerpt.rows, excerpt.rows + before, 0))
            mask[b, frames] = True
            grouped.append(group_tokens(excerpt.units, excerpt.groups, merge_runs))
            before += len(grouped[-1].group_sizes)
            first = frames.stop
    speaker = torch.from_numpy(np.stack(embeddings))
    return VcBatch(PackedTokens.pack(grouped), rows, mel, is_prompt, is_target, speaker)


class VcBatches:
    """Batches of random targets, each behind a random other utterance of its speaker."""

    def __init__(
        self,
        utterances: Sequence[VcUtterance],
        frame_map: FrameMap,
        config: VcConfig,
        allow_pipes: bool = False,
    ) -> None:
        self.utterances = utterances
        self.allow_pipes = allow_pipes
        self.frame_map = frame_map
        self.config = config
        numbers: dict[str, int] = {}
        speakers, voiced = array("q"), array("b")
        for one in utterances:
            speakers.append(numbers.setdefault(one.speaker, len(numbers)))
            voiced.append(one.has_voice)
        self.speakers, has_voice = np.array(speakers), np.array(voiced, bool)
        voices = np.flatnonzero(has_voice)
        counts = np.bincount(self.speakers[voices], minlength=len(numbers))
        # Those with a voice, speaker after speaker: s has voices[bounds[s] : bounds[s + 1]].
        self.voices = voices[np.argsort(self.speakers[voices], kind="stable")]
        self.bounds = np.append(0, np.cumsum(counts))
        self.targets = np.flatnonzero(counts[self.speakers] > has_voice)
        if not len(self.targets):
            raise EntcompError(
                "no speaker has two utterances, of which one could be the other's prompt; "
                "fix utt2spk, or take more or larger sets"
            )

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> VcBatch:
        """This rank's part of global batch ``step``; epochs are permutations of the targets."""
        size = self.config.batch.size
        first = step * size
        mine = range(first + size * rank // world_size, first + size * (rank + 1) // world_size)
        pairs, embeddings = [], []
        for number in mine:
            rng = np.random.default_rng([self.config.training.seed, number])
            index = self._target(number)
            prompt = self.utterances[int(rng.choice(self._prompts(index)))]
            target = self.utterances[index]
            pairs.append((self._cut_prompt(prompt, rng), self._cut_target(target, rng)))
            embeddings.append(prompt.embedding)
        return collate(pairs, embeddings, self.config.merge_runs)

    def _target(self, number: int) -> int:
        epoch, place = divmod(number, len(self.targets))
        order = _permutation(self.config.training.seed, epoch, len(self.targets))
        return int(self.targets[order[place]])

    def _prompts(self, target: int) -> np.ndarray:
        """Which utterances may stand before a target."""
        speaker = self.speakers[target]
        own = self.voices[self.bounds[speaker] : self.bounds[speaker + 1]]
        return own[own != target]

    def _cut_prompt(self, one: VcUtterance, rng: np.random.Generator) -> Excerpt:
        if rng.random() < self.config.batch.prompt_dropout:
            return self._excerpt(one).cut(0, 0)
        return self._cut(one, self.config.batch.max_prompt, rng)

    def _cut_target(self, one: VcUtterance, rng: np.random.Generator) -> Excerpt:
        return self._cut(one, self.config.batch.max_target, rng)

    def _cut(self, one: VcUtterance, seconds: float, rng: np.random.Generator) -> Excerpt:
        excerpt = self._excerpt(one)
        frames = min(len(excerpt.mel), mel_frames(seconds, self.config.mel))
        return excerpt.cut(int(rng.integers(len(excerpt.mel) - frames + 1)), frames)

    def _excerpt(self, one: VcUtterance) -> Excerpt:
        try:
            mel = read_mel(one.audio, self.config.mel, self.allow_pipes)
            rows = regulate_lengths(one.groups, len(mel), self.frame_map, self.config.layout)
        except EntcompError as error:
            raise EntcompError(f"{error} (utterance {one.audio.utt_id})") from None
        return Excerpt(mel, rows, one.units, one.groups)


@lru_cache(CACHED_MELS)
def read_mel(audio: Utterance, config: MelConfig, allow_pipes: bool = False) -> Tensor:
    """Log mel (frames, n_mels) of an utterance; the errors are those of `read_utterance`."""
    waveform = read_utterance(audio, config.sample_rate, allow_pipes)
    return log_mel(torch.from_numpy(waveform), config)


def mel_statistics(
    utterances: Sequence[VcUtterance], config: VcConfig, allow_pipes: bool = False
) -> tuple[float, float]:
    """Mean and standard deviation of the log mels of 200 utterances, evenly spaced."""
    chosen = range(0, len(utterances), -(-len(utterances) // 200))
    mels = [read_mel(utterances[one].audio, config.mel, allow_pipes) for one in chosen]
    values = torch.cat(mels)
    return values.mean().item(), values.std().item()


def mel_frames(seconds: float, config: MelConfig) -> int:
    """Whole mel frames in a time; one at least."""
    return max(1, int(seconds * config.sample_rate / config.hop_length))


@lru_cache(2)
def _permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, size]).permutation(size)

"""Conversion: as long and as loud as the source, whatever its length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vc_toys import CLUSTERS, UNITS, tone, toy_config

from entcomp.audio.read import resample
from entcomp.errors import EntcompError
from entcomp.tasks.vc.config import SamplerConfig
from entcomp.tasks.vc.content import FrameMap
from entcomp.tasks.vc.convert import (
    LENGTHS,
    Converter,
    Recording,
    check_reference,
    cross_fade,
    match_loudness,
    pieces,
    quiet_parts,
    window,
)
from entcomp.tasks.vc.model import VoiceConverter
from entcomp.tasks.vc.vocoders.griffin_lim import GriffinLim


def recording(seconds: float, pitch: float = 120) -> Recording:
    waveform = tone(seconds, pitch)
    frames = len(waveform) // 320
    units = (np.arange(frames) % CLUSTERS).astype(np.int32)
    return Recording(resample(waveform, 16000, 22050), units, np.ones_like(units))


@pytest.fixture(scope="module")
def converter() -> Converter:
    torch.manual_seed(0)
    config = toy_config()
    model = VoiceConverter(config, CLUSTERS).eval()
    model.set_mel_statistics(-5.0, 2.0)
    frame_map = FrameMap.between(UNITS, config.mel)
    return Converter(model, frame_map, GriffinLim(config.mel), SamplerConfig(steps=2), seed=0)


@pytest.mark.parametrize("seconds", [0.3, 1.0, 4.03])
def test_length_and_loudness_are_the_sources(converter: Converter, seconds: float) -> None:
    reference = converter.reference(recording(2.0, 200), np.ones(256, np.float32))
    source = recording(seconds)
    made = converter(source, reference, "utt")
    assert made.shape == source.waveform.shape and made.dtype == np.float32
    assert np.abs(made).max() <= 1.0
    rms = [np.sqrt((one**2).mean()) for one in (made, source.waveform)]
    assert rms[0] == pytest.approx(rms[1], rel=0.01)


def test_the_draw_depends_on_the_utterance_and_the_seed_alone(converter: Converter) -> None:
    reference = converter.reference(recording(2.0, 200), np.ones(256, np.float32))
    source = recording(0.5)
    first = converter.mel_of(source.content, reference, "utt1")
    assert torch.equal(first, converter.mel_of(source.content, reference, "utt1"))
    assert not torch.equal(first, converter.mel_of(source.content, reference, "utt2"))
    other = replace(converter, seed=1)
    assert not torch.equal(first, other.mel_of(source.content, reference, "utt1"))


def test_the_prompt_is_the_loudest_stretch(converter: Converter) -> None:
    quiet = recording(3.0)
    loud = quiet.waveform.copy()
    loud[: 22050 * 2] *= 0.01
    prompt = converter.reference(replace(quiet, waveform=loud), np.ones(256, np.float32)).prompt
    assert len(prompt.mel) == 43  # half a second
    assert prompt.mel.mean() > -6
    whole = converter.reference(recording(0.4), np.ones(256, np.float32)).prompt
    assert len(whole.mel) == -(-int(0.4 * 22050) // 256)


@settings(deadline=None)  # the first draw waits for torch
@given(st.integers(1, 3000), st.integers(40, 500), st.integers(1, 39))
def test_pieces_cover_all_frames_and_fade_into_what_they_agree_on(
    frames: int, longest: int, overlap: int
) -> None:
    firsts, length = pieces(frames, longest, overlap)
    assert length <= longest and firsts[0] == 0 and firsts[-1] + length == frames
    gaps = np.diff(firsts)
    assert (gaps > 0).all() and (length - gaps >= overlap - 1).all()
    whole = torch.arange(frames * 2).view(frames, 2).float()
    cut = torch.stack([whole[first : first + length] for first in firsts])
    torch.testing.assert_close(cross_fade(cut, firsts), whole, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("longest", [1, 2, 25, 34])
def test_very_short_targets_left_no_room_for_the_overlap(longest: int) -> None:
    """A model of batch.max_target=0.3 was trained, and then could convert nothing longer."""
    firsts, length = pieces(100, longest, 34)
    assert firsts[-1] + length == 100 and length <= longest
    whole = cross_fade(torch.ones(len(firsts), length, 2), firsts)
    torch.testing.assert_close(whole, torch.ones(100, 2))


def test_cross_fade_moves_gradually() -> None:
    joined = cross_fade(torch.stack([torch.zeros(10, 1), torch.ones(10, 1)]), [0, 6])[:, 0]
    assert (joined[:6] == 0).all() and (joined[10:] == 1).all()
    assert (joined[5:11].diff() > 0).all()


def test_loudness_stops_short_of_clipping() -> None:
    spiky = np.zeros(1000, np.float32)
    spiky[500] = 1.0
    made = match_loudness(spiky, np.full(1000, 0.5, np.float32))
    assert np.abs(made).max() == pytest.approx(0.99)
    assert not match_loudness(spiky, np.zeros(1000, np.float32)).any()
    assert np.isfinite(match_loudness(np.zeros(10, np.float32), np.ones(10, np.float32))).all()


def test_a_short_reference_is_an_error() -> None:
    with pytest.raises(EntcompError, match=r"0\.50 s are too short; give a reference of 1 s"):
        check_reference(8000, 16000)
    check_reference(16000, 16000)


@settings(deadline=None)
@given(st.integers(1, 700), st.integers(2, 90))
def test_parts_of_a_mel_are_all_of_it_and_none_is_too_long(frames: int, longest: int) -> None:
    mel = torch.randn(frames, 3, generator=torch.Generator().manual_seed(frames))
    parts = quiet_parts(mel, longest)
    assert torch.equal(torch.cat(parts), mel)
    assert all(len(one) <= longest for one in parts)
    assert all(len(one) >= longest // 2 for one in parts[:-1])


@settings(deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=9), st.integers(2, 90))
def test_memory_grew_with_every_length_of_a_part(recordings: list[int], longest: int) -> None:
    """Ten minutes of speech took 4.5 GB: the vocoder met a new length in every part."""
    lengths = set()
    for frames in recordings:
        begin = 0
        for part in quiet_parts(torch.zeros(frames, 3), longest):
            end = begin + len(part)
            first, last = window(begin, end, frames, longest)
            assert 0 <= first <= begin < end <= last <= frames and last - first <= longest
            if frames > longest:
                lengths.add(last - first)
            begin = end
    assert len(lengths) <= longest // max(1, longest // LENGTHS) + 1


def test_a_mel_is_cut_in_its_pauses() -> None:
    mel = torch.zeros(100, 4)
    for pause in (33, 61):
        mel[pause] = -5.0
    assert [len(one) for one in quiet_parts(mel, 40)] == [33, 28, 39]


def test_an_hour_was_drawn_at_once_and_vocoded_at_once(
    converter: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory grew with the recording: now no call gets more pieces or frames than so many."""
    monkeypatch.setattr("entcomp.tasks.vc.convert.PIECES", 2)
    monkeypatch.setattr("entcomp.tasks.vc.convert.LONGEST_PART", 1.0)
    drawn, vocoded, done = [], [], []

    class Watched(VoiceConverter):
        def sample(self, batch, *rest):  # type: ignore[no-untyped-def]
            drawn.append(len(batch.rows_BM))
            return super().sample(batch, *rest)

    class Silence(GriffinLim):
        def __call__(self, mel_MN: torch.Tensor) -> torch.Tensor:
            vocoded.append(len(mel_MN))
            return mel_MN.exp().mean(dim=1).repeat_interleave(256)

    model = Watched(converter.config, CLUSTERS).eval()
    model.load_state_dict(converter.model.state_dict())
    watched = replace(converter, model=model, vocoder=Silence(converter.config.mel))
    reference = watched.reference(recording(2.0, 200), np.ones(256, np.float32))
    source = recording(8.0)
    made = watched(source, reference, "utt", done.append)
    assert len(made) == len(source.waveform)
    assert max(drawn) == 2 and sum(drawn) == len(pieces(690, 129, 34)[0])
    assert max(vocoded) <= 86 and 690 <= sum(vocoded) < 690 + 17 * len(vocoded)
    assert set(vocoded) <= {17, 34, 51, 68, 85, 86}
    assert sum(done) == pytest.approx(1.0)


def test_a_short_recording_is_drawn_as_before_there_were_batches(converter: Converter) -> None:
    """Its noise depends on the id and the seed alone, whatever PIECES is."""
    reference = converter.reference(recording(2.0, 200), np.ones(256, np.float32))
    content = recording(2.0).content
    first = converter.mel_of(content, reference, "utt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("entcomp.tasks.vc.convert.PIECES", 2)
        assert torch.equal(converter.mel_of(content, reference, "utt"), first)


def test_units_alone_are_spoken_without_clipping(converter: Converter) -> None:
    class Loud(GriffinLim):
        def __call__(self, mel_MN: torch.Tensor) -> torch.Tensor:
            return torch.full((len(mel_MN) * 256,), 3.0)

    reference = converter.voice(np.ones(256, np.float32))
    content = replace(recording(1.0).content, samples=22000)
    made = replace(converter, vocoder=Loud(converter.config.mel)).synthesize(
        content, reference, "utt"
    )
    assert len(made) == 22000 and np.abs(made).max() == pytest.approx(0.99)

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
    Converter,
    Recording,
    check_reference,
    cross_fade,
    match_loudness,
    pieces,
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

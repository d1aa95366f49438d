"""The exported LM: torch's entropies, whatever is read before, after, beside, or at once."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_lm import make_lm, small_config, speech_like, torch_scorer, write_lm

from entcomp.errors import EntcompError
from entcomp.files import write_json
from entcomp.lm import export
from entcomp.lm.checkpoint import LMInfo
from entcomp.lm.onnx_lm import ONNX, OnnxLM

K = 20
TOLERANCE = 1e-5  # nats


def tokens_of(length: int, seed: int = 0) -> np.ndarray:
    """Of an utterance, with its beginning."""
    return np.concatenate([[K], np.random.default_rng(seed).integers(0, K, length - 1)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EXP/lm, which nobody may change."""
    path = tmp_path_factory.mktemp("exp") / "lm"
    write_lm(path, small_config(), K)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "lm"))


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
@pytest.mark.parametrize(("context", "overlap"), [(64, 24), (64, 0), (8, 7), (2, 1)])
def test_entropies_are_torchs(
    tmp_path: Path, direction: str, lm_units: str, context: int, overlap: int
) -> None:
    """Below, at and beyond the context, where spans overlap."""
    config = small_config(
        direction=direction, lm_units=lm_units, context=context, score_overlap=overlap
    )
    lm, scorer = make_lm(tmp_path, config), torch_scorer(tmp_path, config)
    for length in (1, 2, 63, 64, 65, 66, 300):
        units = speech_like(length, length)
        ((_, expected),) = scorer.score([("a", units)])
        found = lm.score(units)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "sizes",
    [
        {"layers": 1, "dim": 12, "heads": 2, "ffn_dim": 10},
        {"layers": 3, "dim": 18, "heads": 1, "ffn_dim": 7},
        {"layers": 2, "dim": 40, "heads": 5, "ffn_dim": 33},
    ],
    ids=str,
)
def test_of_any_size(tmp_path: Path, sizes: dict[str, int]) -> None:
    config = small_config(**sizes)
    lm, scorer = make_lm(tmp_path, config), torch_scorer(tmp_path, config)
    units = speech_like(150, 3)
    ((_, expected),) = scorer.score([("a", units)])
    np.testing.assert_allclose(lm.score(units), expected, rtol=0, atol=TOLERANCE)


def test_only_the_last_entropies(folder: Path) -> None:
    lm, tokens = OnnxLM.open(folder), tokens_of(64)
    expected = lm.entropies(tokens)
    for first in (0, 1, 24, 63):
        found = lm.entropies(tokens, first)
        np.testing.assert_allclose(found, expected[first:], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("cuts", [[1] * 64, [63, 1], [1, 63], [20, 30, 14], [64]], ids=str)
def test_with_what_was_read_before_in_a_cache(folder: Path, cuts: list[int]) -> None:
    lm, tokens = OnnxLM.open(folder), tokens_of(64)
    expected, cache, done = lm.entropies(tokens), lm.empty_cache, 0
    for count in cuts:
        entropy, cache = lm.step(tokens[done : done + count], cache)
        done += count
        assert entropy == pytest.approx(expected[done - 1], abs=TOLERANCE)
    assert {one.shape for one in cache.values()} == {(2, 64, 16)}


def test_later_tokens_change_no_earlier_entropy(folder: Path) -> None:
    lm, tokens = OnnxLM.open(folder), tokens_of(60)
    changed = tokens.copy()
    changed[40:] = (changed[40:] + 7) % K
    one, two = lm.entropies(tokens), lm.entropies(changed)
    np.testing.assert_array_equal(one[:40], two[:40])
    assert np.abs(one[40:] - two[40:]).min() > 1e-6
    # Nor does how many there are.
    np.testing.assert_allclose(lm.entropies(tokens[:40]), one[:40], rtol=0, atol=TOLERANCE)


def test_what_is_scored_beside_an_utterance_changes_nothing(folder: Path) -> None:
    """Before, after, and at the same time, in other threads."""
    lm = OnnxLM.open(folder)
    utterances = [speech_like(length, length) for length in (5, 64, 1, 30, 200, 65, 17)]
    alone = [OnnxLM.open(folder).score(units) for units in utterances]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lm.score, [*utterances, *utterances[::-1]]))
    for found, expected in zip(together, [*alone, *alone[::-1]], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_equal_lms_are_equal_bytes_and_small(folder: Path, copy: Path) -> None:
    config, lm = small_config(), LMInfo.read(copy)
    export.export_onnx(copy, config, lm)
    assert (copy / ONNX).read_bytes() == (folder / ONNX).read_bytes()
    assert (copy / ONNX).stat().st_size < 20_000  # the weights stay where they are


def test_a_stale_export_is_refused(copy: Path, tmp_path: Path) -> None:
    """That of the LM that was here before."""
    write_lm(tmp_path / "other", small_config(), K, seed=1)
    shutil.copy(tmp_path / "other" / ONNX, copy / ONNX)
    with pytest.raises(EntcompError, match=r"lm/model\.onnx: made with another LM; delete it"):
        OnnxLM.open(copy)


def test_an_export_that_names_no_lm_is_refused(copy: Path) -> None:
    model = onnx.load(copy / ONNX, load_external_data=False)
    del model.metadata_props[:]
    (copy / ONNX).write_bytes(model.SerializeToString())
    with pytest.raises(EntcompError, match=r"model\.onnx: made with another LM"):
        OnnxLM.open(copy)


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\x08"])
def test_what_is_no_export_is_refused(copy: Path, content: bytes) -> None:
    (copy / ONNX).write_bytes(content)
    with pytest.raises(EntcompError, match=r"model\.onnx: .*; delete it and run again$"):
        OnnxLM.open(copy)


def test_weights_of_another_lm_are_refused(copy: Path, tmp_path: Path) -> None:
    write_lm(tmp_path / "other", small_config(), K, seed=1)
    shutil.copy(tmp_path / "other" / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(
        EntcompError, match=r"model\.safetensors: not the weights that were trained"
    ):
        OnnxLM.open(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(EntcompError, match=r"model\.safetensors: no such file"):
        OnnxLM.open(copy)


def test_an_lm_of_another_codebook_is_refused(folder: Path) -> None:
    with pytest.raises(EntcompError, match=r"lm\.json: made with another codebook; rerun train-lm"):
        OnnxLM.open(folder, "new")


def test_an_export_that_is_not_torchs_lm_is_not_written(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (copy / ONNX).read_bytes()
    right = export.frequencies
    monkeypatch.setattr(export, "frequencies", lambda channels: 2 * right(channels))
    with pytest.raises(EntcompError, match=r"model\.onnx: onnxruntime's entropies are .* nats off"):
        export.export_onnx(copy, small_config(), LMInfo.read(copy))
    assert (copy / ONNX).read_bytes() == before
    assert not list(copy.glob(".*.tmp"))


def test_an_lm_that_was_never_exported_is_when_it_is_needed(folder: Path, copy: Path) -> None:
    (copy / ONNX).unlink()
    OnnxLM.open(copy)
    assert (copy / ONNX).read_bytes() == (folder / ONNX).read_bytes()


def test_links_to_an_lm(folder: Path, tmp_path: Path) -> None:
    """To its folder, to all of its files, but not to its weights only."""
    (tmp_path / "linked").symlink_to(folder)
    (tmp_path / "lm").mkdir()
    for path in folder.iterdir():
        (tmp_path / "lm" / path.name).symlink_to(path)
    tokens = tokens_of(9)
    expected = OnnxLM.open(folder).entropies(tokens)
    for one in ("linked", "lm"):
        np.testing.assert_array_equal(OnnxLM.open(tmp_path / one).entropies(tokens), expected)
    (tmp_path / "lm" / ONNX).unlink()
    with pytest.raises(EntcompError, match=r"model\.safetensors: .* link the folder instead"):
        OnnxLM.open(tmp_path / "lm")


def test_a_pack_without_an_export_stays_as_it_is(copy: Path) -> None:
    (copy / ONNX).unlink()
    write_json(copy.parent / "manifest.json", {})
    with pytest.raises(EntcompError, match=r"model\.onnx: no such file; pack the experiment again"):
        OnnxLM.open(copy)
    assert not (copy / ONNX).exists()


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_without_torch_an_export_has_to_be_there(
    copy: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delitem(sys.modules, "entcomp.lm.export")
    monkeypatch.setitem(sys.modules, missing, None)
    OnnxLM.open(copy)
    (copy / ONNX).unlink()
    with pytest.raises(EntcompError, match=f"it cannot be made without {missing}; install"):
        OnnxLM.open(copy)

"""Files that somebody else made run no code: each ends in one clear line."""

from __future__ import annotations

import ast
import io
import os
import pickle
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_pipeline import make_pipeline
from toy_training import run_toy

import entcomp
from entcomp.artifacts.packing import open_model, pack
from entcomp.config import Config, load_config
from entcomp.errors import EntcompError
from entcomp.files import sha256_file, write_json
from entcomp.lm.config import LMConfig
from entcomp.training.weights import read_weights
from entcomp.units.codebook import Codebook

# Calls that run what they read; the others in `risk` do unless they are told not to.
FORBIDDEN = re.compile(
    r"(c?pickle|_pickle|dill|cloudpickle|marshal|joblib|shelve)\.(loads?|open|Unpickler)"
    r"|eval|exec|(torch|yaml)\.(unsafe_load|full_load|full_load_all|load_all|unsafe_load_all)"
)


def risk(call: ast.Call) -> str | None:
    """The name of a call that may run code from a file."""
    name = ast.unparse(call.func)
    options = {one.arg: ast.unparse(one.value) for one in call.keywords}
    safe = {
        "torch.load": options.get("weights_only") == "True",
        "np.load": "allow_pickle" not in options and len(call.args) == 1,
        "numpy.load": False,
        "yaml.load": options.get("Loader") == "_Loader",  # a SafeLoader
    }
    return name if FORBIDDEN.fullmatch(name) or not safe.get(name, True) else None


def calls(source: str) -> list[ast.Call]:
    return [one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.Call)]


def test_nothing_reads_a_pickle() -> None:
    files = list(Path(entcomp.__file__).parent.rglob("*.py"))
    found = {path: calls(path.read_text()) for path in files}
    names = {ast.unparse(one.func) for some in found.values() for one in some}
    assert {"np.load", "torch.load", "yaml.load"} <= names
    assert not [(path.name, risk(one)) for path, some in found.items() for one in some if risk(one)]


@pytest.mark.parametrize(
    ("source", "risky"),
    [
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=False)", True),
        ("torch.load(\n    path,\n    weights_only=True,\n)", False),
        ("np.load(path)", False),
        ("np.load(path, None, True)", True),
        ("np.load(path, allow_pickle=True)", True),
        ("pickle.load(stream)", True),
        ("pickle.dumps(value)", False),
        ("joblib.load(path)", True),
        ("yaml.load(text, Loader=yaml.Loader)", True),
        ("model.eval()", False),
        ("eval(text)", True),
    ],
)
def test_what_counts_as_reading_a_pickle(source: str, risky: bool) -> None:
    (call,) = calls(source)
    assert bool(risk(call)) == risky


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (str(self.path),)


@pytest.fixture
def touched(tmp_path: Path) -> Path:
    """What the traps of a test touch; the traps do work."""
    path = tmp_path / "touched"
    pickle.loads(pickle.dumps(Trap(path)))
    path.unlink()
    return path


def object_array(touched: Path) -> bytes:
    """An .npz file whose arrays are pickles."""
    stream = io.BytesIO()
    objects = np.array([Trap(touched)], dtype=object)
    np.savez(stream, centroids=objects, whitening=objects)
    return stream.getvalue()


def is_refused(error: pytest.ExceptionInfo[EntcompError], name: str, touched: Path) -> None:
    assert name in str(error.value) and "\n" not in str(error.value)
    assert not touched.exists()


@pytest.mark.parametrize("kind", ["pickle", "torch", "zip"])
def test_a_checkpoint_that_is_a_pickle(tmp_path: Path, touched: Path, kind: str) -> None:
    """A training went on from whatever ``last.ckpt`` held, and ran it."""
    exp = tmp_path / "exp"
    run_toy(exp, max_steps=2, val_interval=1)
    last = exp / "checkpoints" / "last.ckpt"
    if kind == "pickle":
        last.write_bytes(pickle.dumps(Trap(touched)))
    elif kind == "torch":
        torch.save({"progress": Trap(touched)}, last)
    else:
        with zipfile.ZipFile(last, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Trap(touched)))
    with pytest.raises(EntcompError, match="not a checkpoint of this model") as error:
        run_toy(exp, max_steps=4, val_interval=1)
    is_refused(error, "last.ckpt", touched)


def test_a_checkpoint_of_other_tensors(tmp_path: Path) -> None:
    """As safetensors it can run nothing; it was a traceback."""
    run_toy(tmp_path / "one", max_steps=2, val_interval=1)
    last = tmp_path / "one" / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    for one, other in ((b"layers.0.", b"layers.7."), (b'\\"step\\"', b'\\"stop\\"')):
        assert one in before
        last.write_bytes(before.replace(one, other))
        with pytest.raises(EntcompError, match=r"last\.ckpt: not a checkpoint of this"):
            run_toy(tmp_path / "one", max_steps=4, val_interval=1)


def test_weights_that_are_a_pickle(tmp_path: Path, touched: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"weight": Trap(touched)}, path)
    with pytest.raises(EntcompError, match="not safetensors") as error:
        read_weights(path)
    is_refused(error, "model.safetensors", touched)


def test_a_codebook_of_pickles(tmp_path: Path, touched: Path) -> None:
    path = tmp_path / "kmeans.npz"
    path.write_bytes(object_array(touched))
    with pytest.raises(EntcompError, match="not a codebook") as error:
        Codebook.read(path)
    is_refused(error, "kmeans.npz", touched)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mknod [{}]",
        "!!python/name:os.mknod",
        "!!python/module:antigravity",
    ],
)
def test_a_config_with_a_tag_of_python(tmp_path: Path, touched: Path, tag: str) -> None:
    class Loose(Config):
        key: object = None

    path = tmp_path / "lm.yaml"
    path.write_text(f"key: {tag.format(touched)}\n")
    with pytest.raises(EntcompError, match="not YAML") as error:
        load_config(Loose, path)
    is_refused(error, "lm.yaml", touched)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack(make_pipeline(folder), folder / "pack", [], {}, "a card")
    return folder / "pack"


def as_tar(packed: Path, target: Path, changed: dict[str, bytes]) -> Path:
    """The pack with some files replaced, and their hashes."""
    files = {
        path.relative_to(packed).as_posix(): path.read_bytes()
        for path in sorted(packed.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    (target / "files").mkdir()
    hashes = {}
    for number, (name, content) in enumerate((files | changed).items()):
        (target / "files" / str(number)).write_bytes(content)
        hashes[name] = sha256_file(target / "files" / str(number))
    write_json(target / "manifest.json", {"entcomp": entcomp.__version__, "files": hashes})
    with tarfile.open(target / "evil.tar", "w") as archive:
        archive.add(target / "manifest.json", "manifest.json")
        for number, name in enumerate(hashes):
            archive.add(target / "files" / str(number), name)
    return target / "evil.tar"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("units/kmeans.npz", "not a codebook"),
        ("lm/model.safetensors", "not safetensors"),
        ("lm/config.yaml", "not YAML"),
    ],
)
def test_a_pack_whose_files_are_pickles(
    packed: Path, tmp_path: Path, touched: Path, name: str, message: str
) -> None:
    """The manifest of an evil pack tells of it as it is."""
    evil = {
        "units/kmeans.npz": object_array(touched),
        "lm/model.safetensors": pickle.dumps(Trap(touched)),
        "lm/config.yaml": f"layers: !!python/object/apply:os.mknod [{touched}]\n".encode(),
    }
    model = open_model(as_tar(packed, tmp_path, {name: evil[name]}))
    with pytest.raises(EntcompError, match=message) as error:
        if name == "units/kmeans.npz":
            Codebook.read(model.experiment.codebook)
        else:
            load_config(LMConfig, model.experiment.lm() / "config.yaml")
            read_weights(model.experiment.lm() / "model.safetensors")
    is_refused(error, name, touched)


@pytest.mark.parametrize("kind", ["outside", "absolute", "link", "device"])
def test_a_pack_that_writes_elsewhere(
    packed: Path, tmp_path: Path, touched: Path, kind: str
) -> None:
    path = as_tar(packed, tmp_path, {})
    content = b"written"
    entry = tarfile.TarInfo("../" * 20 + str(touched)[1:] if kind == "outside" else str(touched))
    entry.size = len(content)
    if kind in ("link", "device"):
        entry = tarfile.TarInfo("units/more")
        entry.type = tarfile.SYMTYPE if kind == "link" else tarfile.FIFOTYPE
        entry.linkname = str(touched)
    with tarfile.open(path, "a") as archive:
        archive.addfile(entry, io.BytesIO(content) if entry.size else None)
    with pytest.raises(
        EntcompError, match="not a plain file in this pack; do not trust it"
    ) as error:
        open_model(path)
    is_refused(error, "evil.tar", touched)

"""A trained pipeline to the Hugging Face hub."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from entcomp import __version__
from entcomp.artifacts import packing
from entcomp.artifacts.packing import CARD, MANIFEST, trained_tasks
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.pipelines.hub import CLIENT, NAME, one_line_errors
from entcomp.pipelines.pack import pack
from entcomp.report.model_card import hub_card


def push(
    source: Path,
    name: str,
    models: Sequence[str] = (),
    segmentations: Sequence[str] = (),
    notes: Path | None = None,
    license_id: str | None = None,
    private: bool = False,
) -> str:
    """Put an experiment or a pack on the hub as ``user/name``, in one commit; its address.

    An experiment is packed first, as by `pack`; a pack goes as it is, unless models, segmentations
    or notes are named. The model card gets the hub's header, with ``license_id`` as the hub spells
    it (``apache-2.0``). Raises EntcompError as `pack` does, without a token that may write there,
    and where the hub cannot be reached.
    """
    if not NAME.fullmatch(name):
        raise EntcompError(f"{name}: not a name on the hub; expected user/name")
    experiment = packing.open_model(source).experiment
    with one_line_errors(name), tempfile.TemporaryDirectory() as temporary:
        from huggingface_hub import CommitOperationAdd, HfApi, get_token

        if get_token() is None:
            raise EntcompError(
                f"{name}: no token for the hub; log in by 'hf auth login', or set HF_TOKEN"
            )
        folder = experiment.path
        if models or segmentations or notes or not (folder / MANIFEST).exists():
            folder = Path(temporary) / name.partition("/")[2]
            pack(experiment, folder, models, segmentations, notes)
        packed = packing.open_model(folder).experiment
        card = (folder / CARD).read_text(encoding="utf-8")
        contents: dict[str, Path | bytes] = {
            one: folder / one for one in (MANIFEST, *read_json(folder / MANIFEST)["files"])
        }
        contents[CARD] = hub_card(card, packed, trained_tasks(packed), license_id).encode()
        hub = HfApi(**CLIENT)
        address = hub.create_repo(name, private=private, exist_ok=True)
        operations = [CommitOperationAdd(one, content) for one, content in contents.items()]
        hub.create_commit(name, operations, commit_message=f"A model of entcomp {__version__}")
    return str(address)

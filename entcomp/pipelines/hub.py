"""Models of anywhere: a folder, a tar file, or ``user/name`` on the Hugging Face hub."""

from __future__ import annotations

import glob
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from entcomp import __version__
from entcomp.artifacts import packing
from entcomp.artifacts.packing import MANIFEST, Model
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.progress import is_quiet
from entcomp.tasks import TASKS

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
CLIENT: dict[str, Any] = {"library_name": "entcomp", "library_version": __version__}


def open_model(source: str | Path | None = None, local_files_only: bool = False) -> Model:
    """The model of a folder, a tar file, a name, or of the hub, its hashes checked.

    ``source`` is what `packing.open_model` knows or, where there is no such path, ``user/name`` on
    the hub: its main branch, or another revision as in ``user/name@v1.0``, and with several models
    in it ``user/name/asr/TAG``. What was fetched once stays in the hub's cache, which alone is
    asked with ``local_files_only``, or where HF_HUB_OFFLINE is set. Raises EntcompError for a model
    that is not there, or cannot be fetched, and for files that are not those of its manifest.
    """
    wanted = _source().fullmatch(str(source)) if source is not None else None
    if wanted is None or Path(str(source)).exists() or str(source).endswith(".tar"):
        return packing.open_model(source)
    if wanted["name"].partition("/")[0] in TASKS:  # no user's, but a model's in some EXP
        raise EntcompError(f"{source}: no such folder; name its experiment, too: EXP/{source}")
    folder = _fetch(wanted["name"], wanted["revision"], local_files_only)
    return packing.open_model(f"{folder}{wanted['task'] or ''}")


def _source() -> re.Pattern[str]:
    """``user/name``, and perhaps a revision and a model, of a task that is registered."""
    tasks = "|".join(map(re.escape, TASKS))
    return re.compile(
        rf"(?P<name>{NAME.pattern})(?:@(?P<revision>.+?))?(?P<task>/(?:{tasks})/[^/]+)?"
    )


def _fetch(name: str, revision: str | None, local_files_only: bool) -> Path:
    """The folder in the hub's cache that has the files of a model's manifest, of one commit."""
    with one_line_errors(name + (f"@{revision}" if revision else "")):
        from huggingface_hub import hf_hub_download, snapshot_download

        options = CLIENT | {"local_files_only": local_files_only}
        manifest = Path(hf_hub_download(name, MANIFEST, revision=revision, **options))
        folder = manifest.parent  # named as the commit
        names = read_json(manifest).get("files", {})
        if not all((folder / one).exists() for one in names):
            wanted = [glob.escape(one) for one in names]
            snapshot_download(name, revision=folder.name, allow_patterns=wanted, **options)
    return folder


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Raises EntcompError, with the remedy, for what the hub's library raises; no bars in logs."""
    try:
        from huggingface_hub import errors
        from huggingface_hub.utils import disable_progress_bars
    except ModuleNotFoundError:
        raise EntcompError(
            f"{name}: no such folder, and for models on the hub the Python package huggingface_hub "
            "is needed; install it"
        ) from None
    if is_quiet() or not sys.stderr.isatty():
        disable_progress_bars()
    # That of the HTTP library in use, which other versions of the hub's library change.
    from_http: Any = errors.HfHubHTTPError.__bases__[0]
    try:
        yield
    except errors.GatedRepoError:
        reason = "its owner wants to be asked for access; do so on the hub, then 'hf auth login'"
    except errors.RepositoryNotFoundError:
        reason = "no such folder, and no such model on the hub; if it is private, 'hf auth login'"
    except errors.RevisionNotFoundError:
        reason = "no such revision on the hub"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        reason = (
            "no such folder, nor in the cache of the hub, which is offline or out of reach; check "
            "the network and HF_HUB_OFFLINE, or fetch it elsewhere and copy the folder"
        )
    except errors.EntryNotFoundError:
        reason = f"on the hub, but no model of entcomp, as it has no {MANIFEST}"
    except from_http as error:
        response = getattr(error, "response", None)
        if response is not None and response.status_code in (401, 403):
            reason = (
                "the hub refuses this token; make one that may write there, then 'hf auth login'"
            )
        else:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            reason = f"the hub failed ({said}); try again later"
    else:
        return
    raise EntcompError(f"{name}: {reason}")

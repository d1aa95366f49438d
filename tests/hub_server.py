"""A hub in this process, for tests: what huggingface_hub asks of huggingface.co, over local HTTP.

Repositories, commits of regular and of large (LFS) files, refs, model info, trees and files with
their etags; private and gated repositories; a token that may write.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_may_write"
# Larger files, and those of models, go by LFS.
LARGE = (".safetensors", ".onnx", ".npz", ".ark")
Files = dict[str, bytes]


@dataclass
class Repository:
    """``refs`` are names of commits, each of which has all its files; ``large`` those by LFS."""

    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False

    def commit(self, files: Files, ref: str = "main") -> str:
        """Add files to those of ``ref``; the commit's name."""
        known = self.commits.get(self.refs.get(ref, ""), {})
        content = known | files
        digest = hashlib.sha1(repr((len(self.commits), sorted(content.items()))).encode())
        self.refs[ref] = digest.hexdigest()
        self.commits[self.refs[ref]] = content
        return self.refs[ref]

    def files(self, revision: str) -> tuple[str, Files] | None:
        commit = self.refs.get(revision, revision)
        return (commit, self.commits[commit]) if commit in self.commits else None


@dataclass
class Hub:
    """``url`` is what HF_ENDPOINT has to be; ``asked`` are requests about models, in order.

    ``modes`` tells how each file was committed, ``objects`` are those that came by LFS.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    modes: dict[str, str] = field(default_factory=dict)


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._route()

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def _route(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        for pattern, method in ROUTES.items():
            if match := re.fullmatch(pattern, f"{self.command} {path}"):
                self.hub.asked.append(f"{self.command} {path}")
                method(self, **match.groupdict())
                return
        self._answer(404, {"error": f"the server of the tests does not know {self.path}"})

    def _answer(self, status: int, content: Any, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    @property
    def _may_write(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, repo: str) -> Repository | None:
        """Answers itself where there is none to be seen."""
        found = self.hub.repositories.get(repo)
        if found is None or (found.private and not self._may_write):
            # As the real one, it does not tell strangers which of both it is.
            self._fail(404 if self._may_write else 401, "RepoNotFound")
            return None
        if found.gated:
            self._fail(403, "GatedRepo")
            return None
        return found

    def create(self) -> None:
        asked = json.loads(self.body)
        repo = f"{asked['organization']}/{asked['name']}"
        if not self._may_write:
            self._answer(401, {"error": "Invalid username or password."})
        elif repo in self.hub.repositories:
            self._answer(409, {"error": "exists", "url": f"{self.hub.url}/{repo}"})
        else:
            private = asked.get("visibility") == "private" or bool(asked.get("private"))
            made = self.hub.repositories[repo] = Repository(private=private)
            made.commit({".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
            self._answer(200, {"url": f"{self.hub.url}/{repo}", "name": repo})

    def validate(self) -> None:
        self._answer(200, {"errors": [], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        if self._repository(repo) is None:
            return
        names = [one["path"] for one in json.loads(self.body)["files"]]
        modes = {one: "lfs" if one.endswith(LARGE) else "regular" for one in names}
        self.hub.modes |= modes
        files = [
            {"path": one, "uploadMode": mode, "shouldIgnore": False} for one, mode in modes.items()
        ]
        self._answer(200, {"files": files})

    def batch(self, repo: str) -> None:
        objects = []
        for one in json.loads(self.body)["objects"]:
            upload = {"href": f"{self.hub.url}/objects/{one['oid']}"}
            objects.append({**one, "actions": {"upload": upload}})
        self._answer(200, {"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() == oid:
            self.hub.objects[oid] = self.body
            self._answer(200, {})
        else:
            self._answer(400, {"error": "another content"})

    def commit(self, repo: str, revision: str) -> None:
        found = self._repository(repo)
        if found is None:
            return
        if not self._may_write:
            self._answer(403, {"error": "no right to write"})
            return
        files: Files = {}
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        name = found.commit(files, revision)
        url = f"{self.hub.url}/{repo}/commit/{name}"
        self._answer(200, {"commitUrl": url, "commitOid": name, "success": True})

    def info(self, repo: str, revision: str = "main") -> None:
        found = self._repository(repo)
        if found is not None and (at := found.files(revision)) is None:
            self._fail(404, "RevisionNotFound")
        elif found is not None:
            siblings = [{"rfilename": name} for name in at[1]]
            self._answer(200, {"id": repo, "sha": at[0], "siblings": siblings, "tags": []})

    def tree(self, repo: str, revision: str) -> None:
        found = self._repository(repo)
        if found is not None and (at := found.files(revision)) is None:
            self._fail(404, "RevisionNotFound")
        elif found is not None:
            self._answer(200, [_entry(name, data) for name, data in sorted(at[1].items())])

    def resolve(self, repo: str, revision: str, name: str) -> None:
        found = self._repository(repo)
        if found is None:
            return
        at = found.files(revision)
        if at is None:
            self._fail(404, "RevisionNotFound")
        elif name not in at[1]:
            self._answer(
                404, {}, X_Error_Code="EntryNotFound", X_Repo_Commit=at[0], X_Error_Message="none"
            )
        else:
            data = at[1][name]
            entry = _entry(name, data)
            etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            self._answer(200, data, ETag=f'"{etag}"', X_Repo_Commit=at[0])


def _entry(name: str, data: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": blob}
    if name.endswith(LARGE):
        oid = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 134}
    return entry


REPO = r"(?P<repo>[^/ ]+/[^/ ]+)"
ROUTES: dict[str, Callable[..., None]] = {
    "POST /api/repos/create": _Handler.create,
    "POST /api/validate-yaml": _Handler.validate,
    rf"POST /api/models/{REPO}/preupload/(?P<revision>.+)": _Handler.preupload,
    rf"POST /api/models/{REPO}/commit/(?P<revision>.+)": _Handler.commit,
    rf"POST /{REPO}\.git/info/lfs/objects/batch": _Handler.batch,
    r"PUT /objects/(?P<oid>[0-9a-f]+)": _Handler.store,
    rf"GET /api/models/{REPO}": _Handler.info,
    rf"GET /api/models/{REPO}/revision/(?P<revision>.+)": _Handler.info,
    rf"GET /api/models/{REPO}/tree/(?P<revision>[^/]+)": _Handler.tree,
    rf"(?:GET|HEAD) /{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)": _Handler.resolve,
}

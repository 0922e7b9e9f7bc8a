"""A Hub on the loopback interface, for the unmodified `huggingface_hub` client; the standard library only.

    with HubServer(folder) as hub:
        ...  # processes started with hub.environment(token, home) push to it and load from it

It keeps repositories, commits, branches and large files on the disk, so a new server on the same folder
serves what the last one had. It answers as the Hub does where clients look: status, `X-Error-Code`, ETag,
`X-Repo-Commit`, ranges, large-file batches. It knows no pull requests, no Xet and no organisations.
"""

import base64
import dataclasses
import fnmatch
import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_LARGE = (".parquet", ".safetensors", ".bin", ".pt", ".pth", ".png", ".jpg", ".arrow", ".npy", ".zip")
_DATE = "2024-01-01T00:00:00.000Z"
_TYPES = r"(?P<kind>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)"
_GIT = r"/(?P<kind>datasets/|spaces/)?(?P<repo>[^/]+/[^/]+?)"


class HubError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str = "", message: str = ""):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclasses.dataclass
class Fault:
    """What is to go wrong with the next requests that fit.

    Args:
        method, path: of the request; path is searched as a regular expression.
        status: answer with it; None drops the connection, after half of the body has been read.
        times: how often.
    """

    method: str
    path: str
    status: int | None = None
    times: int = 1


class HubStore:
    """Repositories as JSON files, and their files by SHA-256."""

    def __init__(self, root: Path):
        self.root, self.lock = root, threading.RLock()
        (root / "blobs").mkdir(parents=True, exist_ok=True)

    def blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256

    def put_blob(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blob(sha256).write_bytes(content)
        return sha256

    def _path(self, kind: str, repo: str) -> Path:
        return self.root / kind / f"{repo}.json"

    def load(self, kind: str, repo: str) -> dict[str, Any] | None:
        path = self._path(kind, repo)
        return json.loads(path.read_text()) if path.exists() else None

    def save(self, kind: str, repo: str, state: dict[str, Any]) -> None:
        path = self._path(kind, repo)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(state))
        beside.replace(path)

    def create(self, kind: str, repo: str, *, private: bool) -> None:
        state = {"private": private, "branches": {}, "commits": {}}
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in _LARGE).encode()
        files = {".gitattributes": self.regular_file(attributes)}
        self._commit(state, "main", files, "initial commit")
        self.save(kind, repo, state)

    def regular_file(self, content: bytes) -> dict[str, Any]:
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {"oid": oid, "size": len(content), "blob": self.put_blob(content)}

    def large_file(self, sha256: str, size: int) -> dict[str, Any]:
        if not self.blob(sha256).exists():
            raise HubError(400, message=f"large file {sha256} was never uploaded")
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        oid = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
        lfs = {"oid": sha256, "size": size, "pointerSize": len(pointer)}
        return {"oid": oid, "size": size, "blob": sha256, "lfs": lfs}

    def commit(self, kind: str, repo: str, branch: str, lines: list[dict[str, Any]]) -> str:
        state = self.load(kind, repo)
        head = state["branches"].get(branch)
        if head is None:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, head):
            raise HubError(412, message="A commit has happened since. Please refresh and try again.")
        files = dict(state["commits"][head]["files"])
        for line in lines:
            self._apply(files, line["key"], line["value"])
        oid = self._commit(state, branch, files, header["summary"])
        self.save(kind, repo, state)
        return oid

    def _apply(self, files: dict[str, Any], key: str, value: dict[str, Any]) -> None:
        if key == "file":
            files[value["path"]] = self.regular_file(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            files[value["path"]] = self.large_file(value["oid"], value["size"])
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise HubError(404, "EntryNotFound", f"no file {value['path']}")
        elif key == "deletedFolder":
            prefix = value["path"].rstrip("/") + "/"
            for path in [path for path in files if path.startswith(prefix)]:
                del files[path]
        elif key != "header":
            raise HubError(400, message=f"unknown operation {key}")

    @staticmethod
    def _commit(state: dict[str, Any], branch: str, files: dict[str, Any], title: str) -> str:
        parent = state["branches"].get(branch)
        content = json.dumps([parent, files, title, len(state["commits"])], sort_keys=True)
        oid = hashlib.sha1(content.encode()).hexdigest()
        state["commits"][oid] = {"parent": parent, "files": files, "title": title}
        state["branches"][branch] = oid
        return oid


def _resolve(state: dict[str, Any], revision: str) -> str:
    revision = unquote(revision)
    oid = state["branches"].get(revision, revision)
    if oid not in state["commits"]:
        raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return oid


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_HttpServer"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_ANY(self) -> None:
        self.server.hub.requests.append(f"{self.command} {self.path}")
        try:
            if self._goes_wrong():
                return
            body = self._read_body()
            with self.server.hub.store.lock:
                self._route(body)
        except HubError as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            self._answer({"error": error.message}, error.status, {k: v for k, v in headers.items() if v})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_ANY

    def _goes_wrong(self) -> bool:
        fault = self.server.hub.next_fault(self.command, self.path)
        if fault is None:
            return False
        if fault.status is not None:
            self._read_body()
            raise HubError(fault.status, message="injected")
        self.rfile.read(int(self.headers.get("Content-Length", 0)) // 2)
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True
        return True

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _route(self, body: bytes) -> None:
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        for method, pattern, action in _ROUTES:
            match = re.fullmatch(pattern, url.path)
            if match and self.command in method:
                groups = {k: unquote(v) if v and k == "path" else v for k, v in match.groupdict().items()}
                return action(self, body=body, **groups)
        self.server.hub.unknown.append(f"{self.command} {self.path}")
        raise HubError(404, message=f"no such endpoint: {self.command} {url.path}")

    # Who asks, and what for

    @property
    def user(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            return None
        if token not in self.server.hub.tokens:
            raise HubError(401, message="Invalid credentials in Authorization header")
        return self.server.hub.tokens[token]

    def repository(self, kind: str, repo: str, *, write: bool = False) -> dict[str, Any]:
        user, owner = self.user, repo.split("/")[0]
        state = self.server.hub.store.load(kind, repo)
        if state is None or (state["private"] and user != owner):
            # As the Hub does it: nobody learns whether a private repository exists.
            status = 401 if user is None else 404
            message = "Invalid username or password." if user is None else "Repository not found"
            raise HubError(status, "RepoNotFound", message)
        if write and user != owner:
            raise HubError(403 if user else 401, message=f"You don't have the rights to write to {repo}")
        return state

    # Accounts and repositories

    def whoami(self, body: bytes) -> None:
        if self.user is None:
            raise HubError(401, message="Invalid username or password.")
        token = {"accessToken": {"displayName": "test", "role": "write", "createdAt": _DATE}}
        self._answer({"type": "user", "name": self.user, "fullname": self.user, "orgs": [], "auth": token})

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        kind = asked.get("type", "model") + "s"
        if self.user is None:
            raise HubError(401, message="Invalid username or password.")
        repo = f"{asked.get('organization') or self.user}/{asked['name']}"
        if repo.split("/")[0] != self.user:
            raise HubError(403, message=f"You don't have the rights to create {repo}")
        answer = {"url": self._page(kind, repo), "name": repo, "id": repo}
        if self.server.hub.store.load(kind, repo) is not None:
            return self._answer({**answer, "error": "You already created this repo"}, 409)
        private = bool(asked.get("private") or asked.get("visibility") == "private")
        self.server.hub.store.create(kind, repo, private=private)
        return self._answer(answer)

    def delete(self, body: bytes) -> None:
        asked = json.loads(body)
        kind, repo = asked.get("type", "model") + "s", f"{asked.get('organization')}/{asked['name']}"
        self.repository(kind, repo, write=True)
        self.server.hub.store._path(kind, repo).unlink()
        self._answer({})

    def settings(self, body: bytes, kind: str, repo: str) -> None:
        state = self.repository(kind, repo, write=True)
        asked = json.loads(body)
        state["private"] = bool(asked.get("private") or asked.get("visibility") == "private")
        self.server.hub.store.save(kind, repo, state)
        self._answer({"private": state["private"]})

    def validate_yaml(self, body: bytes) -> None:
        content = json.loads(body)["content"]
        warnings = [] if content.startswith("---\n") else [{"message": "empty or missing yaml metadata"}]
        self._answer({"errors": [], "warnings": warnings})

    def info(self, body: bytes, kind: str, repo: str, revision: str | None = None) -> None:
        state = self.repository(kind, repo)
        oid = _resolve(state, revision or "main")
        files = state["commits"][oid]["files"]
        siblings = [{"rfilename": path, "size": file["size"]} for path, file in sorted(files.items())]
        flags = {"private": state["private"], "gated": False, "disabled": False, "tags": [], "cardData": {}}
        dates = {"lastModified": _DATE, "createdAt": _DATE, "downloads": 0, "likes": 0}
        names = {"_id": oid[:24], "id": repo, "author": repo.split("/")[0], "sha": oid}
        self._answer({**names, **flags, **dates, "siblings": siblings})

    def refs(self, body: bytes, kind: str, repo: str) -> None:
        branches = self.repository(kind, repo)["branches"]
        listed = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": oid} for n, oid in branches.items()]
        self._answer({"branches": listed, "tags": [], "converts": [], "pullRequests": []})

    def branch(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        state = self.repository(kind, repo, write=True)
        name, asked = unquote(revision), json.loads(body or b"{}")
        if name in state["branches"]:
            raise HubError(409, message=f"Reference already exists: {name}")
        state["branches"][name] = _resolve(state, asked.get("startingPoint") or "main")
        self.server.hub.store.save(kind, repo, state)
        self._answer({})

    def commits(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        state = self.repository(kind, repo)
        oid, listed = _resolve(state, revision), []
        while oid is not None:
            commit = state["commits"][oid]
            listed.append({"id": oid, "title": commit["title"], "message": "", "date": _DATE, "authors": []})
            oid = commit["parent"]
        self._answer(listed)

    # Files

    def tree(self, body: bytes, kind: str, repo: str, revision: str, path: str | None = None) -> None:
        state = self.repository(kind, repo)
        files = state["commits"][_resolve(state, revision)]["files"]
        prefix = f"{path.strip('/')}/" if path and path.strip("/") else ""
        inside = [name for name in sorted(files) if name.startswith(prefix)]
        if prefix and not inside:
            raise HubError(404, "EntryNotFound", f"{path} does not exist")
        recursive = self.query.get("recursive", "").lower() in ("1", "true")
        folders = {
            prefix + "/".join(parts[:depth])
            for parts in (name[len(prefix) :].split("/") for name in inside)
            for depth in range(1, len(parts) if recursive else min(2, len(parts)))
        }
        shown = inside if recursive else [name for name in inside if "/" not in name[len(prefix) :]]
        entries = [_directory(folder) for folder in sorted(folders)]
        self._answer(entries + [_entry(name, files[name]) for name in shown])

    def paths_info(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        state = self.repository(kind, repo)
        files = state["commits"][_resolve(state, revision)]["files"]
        try:
            paths = json.loads(body)["paths"]
        except ValueError:
            paths = parse_qs(body.decode()).get("paths", [])
        found = []
        for path in [paths] if isinstance(paths, str) else paths:
            if path in files:
                found.append(_entry(path, files[path]))
            elif any(name.startswith(f"{path.rstrip('/')}/") for name in files):
                found.append(_directory(path))
        self._answer(found)

    def preupload(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        state = self.repository(kind, repo, write=True)
        files = state["commits"][_resolve(state, revision)]["files"]
        asked, answers = json.loads(body), []
        hosted = files.get(".gitignore")
        ignored = asked.get("gitIgnore") or (self._content(hosted).decode() if hosted else "")
        for file in asked["files"]:
            large = file["path"].lower().endswith(_LARGE) or file["size"] > 10_000_000
            oid = files.get(file["path"], {}).get("oid")
            mode = "lfs" if large else "regular"
            skip = _is_ignored(file["path"], ignored)
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": skip, "oid": oid})
        self._answer({"files": answers})

    def lfs_batch(self, body: bytes, kind: str | None, repo: str) -> None:
        self.repository((kind or "models/").rstrip("/"), repo, write=True)
        objects = []
        for wanted in json.loads(body)["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if not self.server.hub.store.blob(wanted["oid"]).exists():
                base = f"{self.server.hub.url}/lfs/{wanted['oid']}"
                answer["actions"] = {"upload": {"href": base}, "verify": {"href": f"{base}/verify"}}
            objects.append(answer)
        self._answer({"transfer": "basic", "objects": objects})

    def lfs_upload(self, body: bytes, sha256: str) -> None:
        if hashlib.sha256(body).hexdigest() != sha256:
            raise HubError(400, message="the content does not fit its SHA-256")
        self.server.hub.store.put_blob(body)
        self._answer({})

    def lfs_verify(self, body: bytes, sha256: str) -> None:
        if not self.server.hub.store.blob(sha256).exists():
            raise HubError(404, message="not uploaded")
        self._answer({})

    def commit(self, body: bytes, kind: str, repo: str, revision: str) -> None:
        self.repository(kind, repo, write=True)
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        oid = self.server.hub.store.commit(kind, repo, unquote(revision), lines)
        url = f"{self._page(kind, repo)}/commit/{oid}"
        self._answer({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def resolve(self, body: bytes, kind: str | None, repo: str, revision: str, path: str) -> None:
        state = self.repository((kind or "models/").rstrip("/"), repo)
        oid = _resolve(state, revision)
        file = state["commits"][oid]["files"].get(path)
        if file is None:
            # The commit is told even so: clients remember that this commit lacks the file.
            error = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return self._answer({}, 404, {"X-Repo-Commit": oid, **error})
        etag = file["lfs"]["oid"] if "lfs" in file else file["oid"]
        content = self._content(file)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": oid, "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return self._answer(content, 200, headers)
        start, end = _range(asked[1], asked[2], len(content))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return self._answer(content[start:end], 206, headers)

    def _content(self, file: dict[str, Any]) -> bytes:
        return self.server.hub.store.blob(file["blob"]).read_bytes()

    def _page(self, kind: str, repo: str) -> str:
        return f"{self.server.hub.url}/{'' if kind == 'models' else kind + '/'}{repo}"


def _range(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # the last bytes
        return max(0, size - int(last)), size
    if int(first) >= size:
        raise HubError(416, message="range beyond the end")
    return int(first), min(size, int(last) + 1 if last else size)


def _is_ignored(path: str, rules: str) -> bool:
    """The simple rules of .gitignore: a name or pattern at any depth, or with / at its end a folder."""
    *folders, name = path.split("/")
    for rule in filter(None, map(str.strip, rules.splitlines())):
        candidates = folders if rule.endswith("/") else [name]
        if any(fnmatch.fnmatchcase(candidate, rule.rstrip("/")) for candidate in candidates):
            return True
    return False


def _directory(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}


def _entry(path: str, file: dict[str, Any]) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": file["size"], "oid": file["oid"]}
    return {**entry, "lfs": file["lfs"]} if "lfs" in file else entry


_ROUTES: list[tuple[tuple[str, ...], str, Callable[..., None]]] = [
    (("GET",), "/api/whoami-v2", _Handler.whoami),
    (("GET",), "/api/agent-harnesses", lambda handler, body: handler._answer({})),
    (("POST",), "/api/repos/create", _Handler.create),
    (("DELETE",), "/api/repos/delete", _Handler.delete),
    (("POST",), "/api/validate-yaml", _Handler.validate_yaml),
    (("GET",), rf"/api/{_TYPES}", _Handler.info),
    (("GET",), rf"/api/{_TYPES}/revision/(?P<revision>[^/]+)", _Handler.info),
    (("PUT",), rf"/api/{_TYPES}/settings", _Handler.settings),
    (("GET",), rf"/api/{_TYPES}/refs", _Handler.refs),
    (("POST",), rf"/api/{_TYPES}/branch/(?P<revision>[^/]+)", _Handler.branch),
    (("GET",), rf"/api/{_TYPES}/commits/(?P<revision>[^/]+)", _Handler.commits),
    (("GET",), rf"/api/{_TYPES}/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?", _Handler.tree),
    (("POST",), rf"/api/{_TYPES}/paths-info/(?P<revision>[^/]+)", _Handler.paths_info),
    (("POST",), rf"/api/{_TYPES}/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    (("POST",), rf"/api/{_TYPES}/commit/(?P<revision>[^/]+)", _Handler.commit),
    (("POST",), rf"{_GIT}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (("PUT",), "/lfs/(?P<sha256>[0-9a-f]{64})", _Handler.lfs_upload),
    (("POST",), "/lfs/(?P<sha256>[0-9a-f]{64})/verify", _Handler.lfs_verify),
    (("GET", "HEAD"), rf"{_GIT}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
]


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    hub: "HubServer"


class HubServer:
    """The server, for the time of a `with`; it ends with its process at the latest.

    Args:
        folder: where it keeps everything.
        tokens: user names by token.
    """

    def __init__(self, folder: Path, tokens: dict[str, str] | None = None):
        self.store = HubStore(folder)
        self.tokens = tokens or {"hf_owner": "owner", "hf_builder": "builder", "hf_client": "client"}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.unknown: list[str] = []

    def __enter__(self) -> "HubServer":
        self._server = _HttpServer(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, token: str | None, home: Path) -> dict[str, str]:
        """Variables with which a new process uses this Hub, and keeps its cache in `home`."""
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))
        }
        variables |= {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        return variables if token is None else {**variables, "HF_TOKEN": token}

    def next_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == method and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def files(self, kind: str, repo: str, revision: str = "main") -> dict[str, bytes]:
        """All files of a repository with their content."""
        state = self.store.load(kind, repo)
        files = state["commits"][_resolve(state, revision)]["files"]
        return {path: self.store.blob(file["blob"]).read_bytes() for path, file in files.items()}

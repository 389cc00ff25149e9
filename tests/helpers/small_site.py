"""A server on this machine that gives files well, damaged, or not at all."""

import hashlib
import http.server
import json
import threading
from contextlib import contextmanager

PAGE = b"<!DOCTYPE html>\n<html><body>Please log in to this network.</body></html>\n"
FAULTS = {  # status, told length and what is sent of a content
    "cut off": lambda body: (200, len(body), body[: len(body) // 2]),
    "cut off, its length too": lambda body: (200, len(body) // 2, body[: len(body) // 2]),
    "empty": lambda body: (200, 0, b""),
    "a flipped bit": lambda body: (200, len(body), body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]),
    "a web page": lambda body: (200, len(PAGE), PAGE),
    "not there": lambda body: (404, len(PAGE), PAGE),
}


def whole(body):
    return 200, len(body), body


class Site:
    """Files by their paths, and the fault that the server has now.

    Args:
        files: contents.
    """

    def __init__(self, files):
        self.files, self.fault, self.asked, self.gate = dict(files), whole, [], threading.Event()
        self.gate.set()

    def answer(self, path, fault):
        """Status, told length, what is sent and headers."""
        body = self.files.get(path)
        return (404, 0, b"", {}) if body is None else (*fault(body), {})


class Hub(Site):
    """Answers as the Hub does for one data set of one commit.

    Args:
        name: its id.
        files: contents by their names, Parquet files of its large storage and small ones.
    """

    COMMIT = "c" * 40

    def __init__(self, name, files):
        super().__init__(files)
        self.name = name

    def answer(self, path, fault):
        about, _, name = path.partition("/resolve/")
        if about == f"api/datasets/{self.name}" or "/revision/" in about:
            files = [{"rfilename": file} for file in self.files]
            told = {"id": self.name, "sha": self.COMMIT, "siblings": files, "tags": []}
            return (*whole(json.dumps(told).encode()), {})
        if "/tree/" in about:
            return (*whole(json.dumps([*map(self.entry, self.files)]).encode()), {})
        headers, body = {"X-Repo-Commit": self.COMMIT}, self.files.get(name.partition("/")[2])
        if body is None:
            return 404, 0, b"", headers | {"X-Error-Code": "EntryNotFound"}
        large = name.endswith(".parquet")
        headers["ETag"] = f'"{sha256(body) if large else git(body)}"'
        return (*(fault if large else whole)(body), headers)

    def entry(self, name):
        """What the Hub tells of a file."""
        body = self.files[name]
        large = {"lfs": {"oid": sha256(body), "size": len(body), "pointerSize": 130}}
        told = {"type": "file", "path": name, "size": len(body), "oid": git(body)}
        return told | (large if name.endswith(".parquet") else {})


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def git(body):
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@contextmanager
def served(site):
    """The address at which a site is served."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0].lstrip("/")
            if self.command == "GET":
                site.asked.append(path)
                site.gate.wait(60)
            fault = site.fault if self.command == "GET" else whole
            status, length, body, headers = site.answer(path, fault)
            self.send_response(status)
            for name, value in {"Content-Length": str(length), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        site.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""A server on this machine that gives files well, damaged, or not at all."""

import http.server
import threading
from contextlib import contextmanager

PAGE = b"<!DOCTYPE html>\n<html><body>Please log in to this network.</body></html>\n"


class Site:
    """Files by their paths, and the fault that the server has now.

    Args:
        files: contents.
        fault: None, or what becomes of a content and its told length.
    """

    def __init__(self, files):
        self.files, self.fault, self.asked, self.gate = dict(files), None, [], threading.Event()
        self.gate.set()

    def answer(self, path):
        """Status, told length and body."""
        body = self.files.get(path)
        if body is None:
            return 404, 0, b""
        return self.fault(body) if self.fault else (200, len(body), body)


FAULTS = {
    "cut off": lambda body: (200, len(body), body[: len(body) // 2]),
    "cut off, its length too": lambda body: (200, len(body) // 2, body[: len(body) // 2]),
    "empty": lambda body: (200, 0, b""),
    "a flipped bit": lambda body: (200, len(body), body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]),
    "a web page": lambda body: (200, len(PAGE), PAGE),
    "not there": lambda body: (404, len(PAGE), PAGE),
}


@contextmanager
def served(files):
    """The site and its address."""
    site = Site(files)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.lstrip("/")
            site.asked.append(path)
            site.gate.wait(60)
            status, length, body = site.answer(path)
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site, f"http://127.0.0.1:{server.server_port}"
    finally:
        site.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()

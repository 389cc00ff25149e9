"""A stand-in for W&B on this machine: it takes all that clients send and notes what they ask.

It shows what a client does, not what W&B makes of it.
"""

import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROJECT = {"id": "p", "name": "residual-zoo", "entity": {"id": "e", "name": "me"}}
SEQUENCE = {"id": "s", "latestArtifact": {"id": "l", "versionIndex": 0}}
STORED = {"id": "a", "state": "COMMITTED", "artifactSequence": SEQUENCE}
ANSWERS = {
    "CreateArtifact": {"createArtifact": {"artifact": STORED}},
    "UseArtifact": {"useArtifact": {"artifact": {"id": "a"}}},
    "ArtifactType": {"project": None},
    "Viewer": {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}",
                          "teams": {"edges": []}}},
    "ServerFeaturesQuery": {"serverInfo": {"features": []}},
}  # fmt: skip


def answer(asked, given, home):
    """What is answered to a query of a name with some values; nothing where it is unknown."""
    if asked == "UpsertBucket":
        bucket = {"id": "b", "name": given["name"], "displayName": "", "description": "",
                  "config": "{}", "sweepName": None, "historyLineCount": 0,
                  "project": PROJECT}  # fmt: skip
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}
    if asked == "CreateRunFiles":
        files = [{"name": name, "uploadUrl": f"{home}/put"} for name in given["files"]]
        return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
    return ANSWERS.get(asked, {})


@contextlib.contextmanager
def wandb_server():
    """Within, a server runs; yields its address and the list of `(name of a query, values)`."""
    heard = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def body(self):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def reply(self, content):
            text = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_PUT(self):
            self.body()
            self.reply({})

        do_GET = do_PUT

        def do_POST(self):
            body = self.body()
            if "graphql" not in self.path:
                return self.reply({})
            query = json.loads(body)
            asked = re.search(r"(?:mutation|query)\s+(\w+)", query["query"])[1]
            heard.append((asked, query.get("variables") or {}))
            return self.reply({"data": answer(*heard[-1], home)})

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        home = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield home, heard
        server.shutdown()
        thread.join()

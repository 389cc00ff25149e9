"""A worker of stub cells, which imports little: python stub_worker.py worker KILLS."""

import json
import os
import random
import signal
import sys
from pathlib import Path

from tasks.worker.parent import die_with_parent
from zoo.compare.execution.engine import is_short_of_memory


def worker(kills):
    """Answers requests; some, drawn by chance, kill it before or after the result is written.

    Runs that come together are noted in the file `together` beside their folders, and one among
    them whose name begins with `fatal` kills it.
    """
    die_with_parent()
    draws = random.Random(os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        if runs := request.get("runs"):
            names = [run["config"]["name"] for run in runs]
            with (Path(runs[0]["folder"]).parent / "together").open("a") as file:
                file.write(f"{' '.join(names)}\n")
            if any(name.startswith("fatal") for name in names):
                os.kill(os.getpid(), signal.SIGKILL)
            say({"runs": [reply(run) for run in runs]})
            continue
        if draws.random() < kills / 2:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = reply(request)
        if draws.random() < kills / 2 and "error" not in answer:
            os.kill(os.getpid(), signal.SIGKILL)
        say(answer)


def say(answer):
    """Answers, and ends where memory ran out, as the real worker does."""
    print(answer if isinstance(answer, str) else json.dumps(answer), flush=True)
    if answer != "what?" and is_short_of_memory(answer):
        sys.exit(6)


def reply(request):
    """The answer to the request of one run, whose result is written."""
    folder = Path(request["folder"])
    folder.mkdir()
    name = request["config"]["name"]
    if name.startswith("bad"):
        return {"error": "it is bad", "code": 3}
    if name.startswith("huge"):
        return {"error": "no memory", "code": 6}
    if name.startswith("odd"):
        return "what?"
    if name.startswith("endless"):
        signal.pause()
    (folder / "result.json").write_text(json.dumps({"status": "done", "name": name}))
    return {"status": "done"}


if __name__ == "__main__":
    worker(float(sys.argv[2]))

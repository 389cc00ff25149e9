"""An engine whose runs end at once with invented scores, for tests of what a comparison does."""

from pathlib import Path

from made_comparison import ended

from zoo.compare.execution.engine import Outcome

WORDS = ["compare", "task=gnn", "model.depth=2", "connection=plain,residual", "mirror=false"]


class InventedEngine:
    """Runs whose score is a function of arm and seed.

    Args:
        score: of the connection and the seed; None: the run fails.
    """

    note = ""

    def __init__(self, score):
        self.score = score
        self.outcomes = []
        self.began = []  # the seeds of runs, in order
        self.configs = []  # of these runs
        self.probed = []  # whether each of them is to be probed
        self.steps = 1
        self.before_run = lambda: None

    @property
    def free(self):
        return 2 - len(self.outcomes)

    def submit(self, job, request):
        config = request["config"]
        if request["do"] == "measure":
            cost = {
                "data_digest": "d",
                "flops": 1,
                "parameters": 1,
                "steps": self.steps,
                "seconds": 1.0,
            }
            self.outcomes.append(Outcome(job, cost))
            return
        self.before_run()
        seed, rule = config["seed"], config["choices"]["connection"]
        self.began.append(seed)
        self.configs.append(config)
        self.probed.append(request["why"])
        value = self.score(rule, seed)
        if value is None:
            self.outcomes.append(Outcome(job, {"error": "it is bad", "code": 3}))
            return
        cell = {"place": f"depth {config['model']['depth']}", "pair": seed}
        ended(Path(request["folder"]), cell, "done", value, rule)
        self.outcomes.append(Outcome(job, {"status": "done"}))

    def poll(self, seconds):
        ended, self.outcomes = self.outcomes, []
        return ended

    def close(self):
        pass


def install(monkeypatch, score):
    """Lets `compare` run its cells by an invented engine, which is returned."""
    engine = InventedEngine(score)

    monkeypatch.setattr("zoo.compare.run.new_engine", lambda *_, **__: engine)
    monkeypatch.setattr("zoo.compare.report.write.draw_all", lambda *_: None)  # seconds each
    return engine


def gap_of(size, spread=0.001):
    """Scores in which the residual arm is ahead by a gap that differs from pair to pair."""
    return lambda rule, seed: 0.5 + (rule != "plain") * (size + spread * (seed % 7))

"""What every verb does, with examples, from which the pages of `--help` are made."""

from __future__ import annotations

from dataclasses import dataclass, field

FLAGS = """\
  VERB --help    what a verb takes: its keys, their defaults and meanings
  --json         print one JSON object on stdout
  --debug        show the traceback of an error
  --version      print the version
"""
RUN = {"from": "the folder of a run"}
FILE = {"config": "a YAML file of values, such as the config.yaml of a run"}


@dataclass(frozen=True)
class Usage:
    """The description of a verb.

    Args:
        about: what the verb does.
        examples: words that may follow it.
        keys: the keys that no class or configuration file describes, with their meanings.
        takes: the form of the words that follow it.
    """

    about: str
    examples: tuple[str, ...]
    keys: dict[str, str] = field(default_factory=dict)
    takes: str = "[key=value ...]"


USAGES = {
    "fit": Usage(
        "train a network, or continue an interrupted run",
        ("task=gnn connection=plain model.depth=32 seed=1", "from=FOLDER"),
        {"from": "the folder of a run, which is continued", **FILE},
    ),
    "test": Usage(
        "evaluate a run again, at its last and its best step",
        ("from=FOLDER", "from=FOLDER data.path=FOLDER"),
        RUN,
    ),
    "verify": Usage(
        "repeat the first steps of a run, which is only read; exit code 7 where its log differs",
        ("from=FOLDER", "from=FOLDER steps=20"),
        {
            **RUN,
            "data.path": "where the run's data lies now",
            "trainer.accelerator": "cpu or gpu, if it shall be another one",
            "trainer.devices": "if there shall be another number",
            "trainer.strategy": "ddp or fsdp, if it shall be the other one",
        },
    ),
    "sample": Usage(
        "text or images from a run", ("from=FOLDER seed=1", "from=FOLDER temperature=0.5"), RUN
    ),
    "predict": Usage(
        "the answers of a run for files", ("from=FOLDER path=IMAGES", "from=FOLDER path=a.png"), RUN
    ),
    "export": Usage(
        "a trained net for other programs and people, checked; or whether a file is the net",
        (
            "from=FOLDER format=onnx",
            "from=FOLDER format=diffusers",
            "from=FOLDER format=hub license=mit",
            "from=FOLDER check=FILE",
        ),
        RUN,
    ),
    "diagnose": Usage(
        "what keeps a net from training, fresh or of a run, and the comparison that tests a cure",
        (
            "task=cnn connection=plain model.depth=56",
            "from=FOLDER",
            "from=FOLDER try=true pairs=3",
            "from=FOLDER fix=batchnorm",
        ),
        {
            "from": "the folder of a run, which is only read, but gets the page diagnosis.html",
            **FILE,
            "try": "true: run the comparisons that test the cures, and add what they show",
            "dir": "where the page is written; null: in the run, or runs/diagnosis-TASK-CONNECTION",
            "full": "true: also measure what takes longer than half a minute; false: never measure "
            "the gradient's ways, nor the loss of a run without each branch",
            "pairs": "of those comparisons; so are limit, vary, tune, tune_seeds, effects, "
            "engine, workers, together, minutes, max_cells, mirror: see compare --help",
            "fix": "batchnorm: running statistics are counted again on the training part, or on "
            "that of data.path=; a new run folder (run.dir=) has them; both are compared",
        },
    ),
    "compare": Usage(
        "a matrix of runs with statistics and a report; several values of a key are an axis",
        (
            "task=cnn,gnn connection=plain,residual model.depth=8,16 pairs=8",
            "task=gnn norm=pre,post dry_run=true",
        ),
    ),
    "report": Usage(
        "the reports of a comparison again, also of one under way, or of several as one",
        ("FOLDER", "FOLDER FOLDER dir=FOLDER"),
        {"dir": "where the reports are written; null: beside the runs, or runs/report for several"},
        "FOLDER ... [dir=FOLDER]",
    ),
    "bench": Usage(
        "what training costs on this machine, or how well nets are diagnosed",
        ("task=gnn", "of=rules task=cnn", "of=diagnose", "of=gpu size=tiny"),
        {"of": "what is measured, one of those below", **FILE},
    ),
    "new": Usage(
        "a skeleton of your own that runs as it is: its class, its options in YAML, a test",
        ("connection momentum", "task tides package=lab"),
        {
            "KIND": "connection, model, data or task; a task comes with its own data and model",
            "NAME": "what it will be called, in small letters, digits and _",
            "package": "folder of a package of your own, made or extended; else the zoo itself",
        },
        "KIND NAME [package=DIR]",
    ),
    "list": Usage("what is registered", ("", "connection"), takes="[GROUP]"),
    "show": Usage("the composed configuration", ("task=gnn", "task=gnn preset=gcnii"), FILE),
}


def overview() -> str:
    """The page of all verbs with their examples."""
    lines = ["usage: python -m zoo [--json] [--debug] VERB [key=value ...]", ""]
    for verb, usage in USAGES.items():
        lines.append(f"  {verb:<8} {usage.about}")
        lines += [f"{'':<13}{verb} {words}".rstrip() for words in usage.examples]
    return "\n".join([*lines, "", FLAGS.rstrip()])

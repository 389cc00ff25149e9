"""Weights & Biases as a copy of the run folder: where it fails, the run goes on."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from tasks.training.loggers import CopyingLogger, numbered
from zoo.errors import quoted, shown
from zoo.run_folder import RunFolder

log = logging.getLogger("zoo")
START_SECONDS = 15
FINISH_SECONDS = 30
LONGEST, LONGEST_TAG = 128, 64  # characters of names at W&B


class WandB(CopyingLogger):
    """Copies a run to Weights & Biases.

    W&B keeps no offline run open, so each session of a continued run that is offline begins with
    the rows and figures of the sessions before, takes their place and is uploaded as the whole run.

    Args:
        project: of the run.
        group: runs of one comparison share it; None: task, data and depth.
        name: shown for the run; None: its folder's name.
        tags: shown for the run, beside task, connection and data.
        mode: `auto` is online when logged in and offline otherwise.
    """

    title: ClassVar[str] = "W&B"
    opened: Any = None

    def __init__(
        self,
        project: str = "residual-zoo",
        group: str | None = None,
        name: str | None = None,
        tags: list[str] = [],  # noqa: B006 (never changed; the YAML shows the same default)
        mode: Literal["auto", "online", "offline"] = "auto",
    ):
        self.project, self.group, self.name = project, group, name
        self.tags, self.mode = list(tags), mode

    def start(self, folder: Path, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        self.together = defaults.get("together", False)  # with others, of which one line tells
        mode: str = self.mode
        try:
            if mode == "auto":
                mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
            if mode == "disabled":
                return
            self.run = self.open(mode, folder, config, defaults)
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
            if mode != "offline" and not defaults.get("beside"):
                with contextlib.suppress(Exception):
                    self.run = self.reopen(folder, config, defaults)
            outcome = "the run is kept offline" if self.run else "it is off for this run"
            log.warning("W&B cannot be reached, %s (%s)", outcome, reason)
        self.opened = self.run  # which is closed, whatever fails meanwhile
        if self.run is not None:
            since = self.run.starting_step
            self.guarded(lambda: self.catch_up(RunFolder(folder), since))

    def reopen(self, folder: Path, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
        """Begins offline after a failed start, which still holds the run's id.

        It ends all runs of this process, and so is not for one that is sent beside others.
        """
        import wandb

        wandb.teardown()
        return self.open("offline", folder, config, defaults)

    def open(
        self,
        mode: str,
        folder: Path,
        config: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> Any:
        import wandb

        return wandb.init(
            project=self.project,
            group=shown(self.group or defaults["group"])[:LONGEST],
            job_type=defaults.get("job_type"),
            notes=defaults.get("notes"),
            name=shown(self.name or folder.name)[:LONGEST],
            id=defaults["id"],
            tags=[shown(tag)[:LONGEST_TAG] for tag in [*self.tags, *defaults["tags"]]],
            config=dict(config),
            dir=str(folder),
            mode=mode,  # type: ignore[arg-type]
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(
                init_timeout=START_SECONDS,
                finish_timeout=FINISH_SECONDS,
                finish_timeout_raises=True,
                reinit="create_new" if defaults.get("together") else "default",
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
            ),
        )

    def row(self, row: Mapping[str, Any]) -> None:
        if self.run is not None:
            values = {key: value for key, value in row.items() if key != "step"}
            self.guarded(lambda: self.run.log(values, step=row["step"]))

    def figure(self, name: str, path: Path, step: int) -> None:
        if self.run is not None:
            import wandb

            key = f"figures/{numbered(name)[0]}"  # one row of pictures
            self.guarded(lambda: self.run.log({key: wandb.Image(str(path))}, step=step))

    def alert(self, title: str, text: str) -> None:
        if self.run is not None:
            self.guarded(lambda: self.run.alert(title, text, level="WARN"))

    def finish(self, result: Mapping[str, Any], figures: Mapping[str, Path]) -> None:
        if self.opened is None:
            return
        import wandb

        run, folder = self.opened, Path(self.opened.dir).parent

        def send() -> None:
            images: dict[str, Any] = {}
            for name, path in figures.items():
                images[f"figures/{name}"] = wandb.Image(str(path))
            for name, values in result.get("curves", {}).items():
                table = wandb.Table(data=list(enumerate(values)), columns=["depth", name])
                images[f"curves/{name}"] = wandb.plot.line(table, "depth", name, title=name)
            if images:
                run.log(images)
            run.summary.update(result["metrics"] | {"status": result["status"]})

        if self.run is not None:
            self.guarded(send)
        failed = result["status"] not in ("done", "interrupted")
        self.guarded(lambda: run.finish(exit_code=int(failed)))
        if run.settings._offline and not self.failed:
            for other in folder.parent.glob(f"offline-run-*-{run.id}"):
                if other != folder and (other / f"run-{run.id}.wandb").is_file():
                    shutil.rmtree(other, ignore_errors=True)
            if not self.together:
                log.info("W&B was offline; upload by: wandb sync %s", quoted([str(folder)]))
        self.run = self.opened = None


def logged_in() -> bool:
    """Whether a key is there; it is not verified, so no network is needed."""
    import wandb

    try:
        return bool(wandb.login(prompt=False, verify=False))
    except Exception as error:
        log.warning("W&B refuses the key, the run is kept offline (%s)", type(error).__name__)
        return False

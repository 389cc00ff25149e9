"""The log of a run as one table, for spreadsheets and data frames."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tasks.training.loggers import CopyingLogger
from zoo.run_folder import RunFolder
from zoo.system.spreadsheet import harmless


class CSV(CopyingLogger):
    """Writes `csv/metrics.csv`, one row for each row of the log, by Lightning's `CSVLogger`.

    Columns are sorted; where a row brings new ones, the rows before have them empty. The final
    metrics are a last row. A continued run writes the table anew from `metrics.jsonl`, so that each
    step stands in it once.
    """

    title: ClassVar[str] = "The table csv/metrics.csv"

    def start(self, folder: Path, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        def begin() -> None:
            from lightning_fabric.loggers import CSVLogger

            shutil.rmtree(folder / "csv", ignore_errors=True)
            self.run = CSVLogger(folder, name="", version="csv", flush_logs_every_n_steps=1)
            self.catch_up(RunFolder(folder))

        self.guarded(begin)

    def row(self, row: Mapping[str, Any]) -> None:
        if self.run is not None:
            values = {harmless(name): value for name, value in row.items() if name != "step"}
            self.guarded(lambda: self.run.log_metrics(values, row["step"]))

    def finish(self, result: Mapping[str, Any], figures: Mapping[str, Path]) -> None:
        if result["metrics"]:
            self.row({"step": result["steps"], "epoch": result["epochs"], **result["metrics"]})
        self.run = None

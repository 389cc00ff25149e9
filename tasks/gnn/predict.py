"""Labels for the nodes of a graph, from a trained run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from tasks.cnn.predict import labels, line
from tasks.data.folders import folder_at, shown
from tasks.data.graphs.dataset import check_nodes
from tasks.data.graphs.sources import nodes_of
from tasks.inference.files import SHOWN, output_file, writing
from tasks.inference.restored import training_data
from zoo.errors import DataError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write
from zoo.system.spreadsheet import spreadsheet

if TYPE_CHECKING:
    from tasks.gnn.task import NodeClassification


class PredictNodes:
    """Writes the most probable class of every node to a table, `predictions/nodes.csv`.

    Args:
        path: an `.npz` file of another graph with the arrays `x` and `edge_index`, as `data=npz`
            takes them, and the features of the run's; None: the run's own graph.
        out: the table; None: `predictions/nodes.csv` in the run folder.
    """

    def __init__(self, path: str | None = None, out: str | None = None):
        self.path, self.out = path, out

    def __call__(self, task: NodeClassification, folder: RunFolder) -> Report:
        table = output_file(self.out, folder.path / "predictions" / "nodes.csv", "out")
        if self.path is None:
            graph = training_data(task, folder)
            x, edge_index = graph.x, graph.edge_index
        else:
            file = str(folder_at(self.path))
            x, edge_index = nodes_of(file)
            check_nodes(x, edge_index, shown(file))
        shares = node_shares(task, *placed(task, x, edge_index))
        rows = labels(range(len(x)), shares, task.data.class_names, "node")
        with writing(table, "out"):
            table.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(table, spreadsheet(rows))
        lines = [line(row) for row in rows[:SHOWN]]
        lines.append(f"{len(rows)} labels in {shown(table)}")
        record = {"labels": rows, "classes": list(task.data.class_names), "file": shown(table)}
        return Report(record, "\n".join(lines))


def placed(task: NodeClassification, x: Tensor, edge_index: Tensor) -> tuple[Any, ...]:
    """What the net takes of a graph; DataError where it has other features than the run's."""
    wanted = task.data.x.shape[1]
    if x.shape[1] != wanted:
        what = f"x has {x.shape[1]} features, the run's graph {wanted}"
        raise DataError(what, "graph", "give the same features in the same order")
    return task.placed(x, edge_index)


def node_shares(task: NodeClassification, x: Any, *edges: Any) -> Tensor:
    """The probability of each class, `[N, classes]` on the CPU, of a placed graph."""
    return task.model(x, *edges).float().softmax(1).cpu()

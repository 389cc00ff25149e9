"""Labels for the nodes of a graph, from a trained run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from tasks.cnn.predict import label_line, label_rows
from tasks.data.folders import folder_at
from tasks.data.graphs.dataset import check_nodes
from tasks.data.graphs.npz import nodes_of
from tasks.data.phrases import shown
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
        probable = node_probabilities(task, *model_inputs(task, x, edge_index))
        rows = label_rows(range(len(x)), probable, task.data.class_names, "node")
        with writing(table, "out"):
            table.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(table, spreadsheet(rows))
        lines = [label_line(row) for row in rows[:SHOWN]]
        lines.append(f"{len(rows)} labels in {shown(table)}")
        record = {"labels": rows, "classes": list(task.data.class_names), "file": shown(table)}
        return Report(record, "\n".join(lines))


def model_inputs(task: NodeClassification, x: Tensor, edge_index: Tensor) -> tuple[Any, ...]:
    """What the net takes of a graph.

    Args:
        task: the trained task.
        x: features `[N, F]`.
        edge_index: edges `[2, E]` long.

    Errors:
        DataError: the graph has another number of features than the run's.
    """
    expected = task.data.x.shape[1]
    if x.shape[1] != expected:
        what = f"x has {x.shape[1]} features, the run's graph {expected}"
        raise DataError(what, "graph", "give the same features in the same order")
    return task.model_inputs(x, edge_index)


def node_probabilities(task: NodeClassification, x: Any, *edges: Any) -> Tensor:
    """The probability of each class, `[N, classes]` on the CPU, from `model_inputs`."""
    return task.model(x, *edges).float().softmax(1).cpu()

"""Constant sparse matrices with a fast product: adjacency and bag-of-words features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from zoo.models.dropout import dropout


class Sparse:
    """A constant sparse matrix `[N, M]`. The product's gradient uses a transpose kept from before.

    Args:
        index: positions, sorted by row, with both compressed forms in its cache.
        value: `[nnz]` values.

    >>> matrix = Sparse.of(torch.tensor([[0, 1], [1, 0]]), torch.tensor([2.0, 3.0]), (2, 2))
    >>> matrix @ torch.eye(2)
    tensor([[0., 2.],
            [3., 0.]])
    """

    def __init__(self, index: EdgeIndex, value: Tensor):
        self.index = index
        self.value = value

    @classmethod
    def of(cls, position: Tensor, value: Tensor, size: tuple[int, int]) -> Sparse:
        """From positions `[2, nnz]` (row, column) in any order and their values."""
        order = torch.argsort(position[0] * size[1] + position[1])
        index = EdgeIndex(position[:, order], sparse_size=size, sort_order="row")
        return cls(index.fill_cache_(), value[order])

    @classmethod
    def of_dense(cls, matrix: Tensor) -> Sparse:
        position = matrix.nonzero().T.contiguous()
        return cls.of(position, matrix[position[0], position[1]], (*matrix.shape,))

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.index.sparse_size()
        assert rows is not None
        assert columns is not None
        return rows, columns

    @torch.compiler.disable  # the compiler has no sparse tensors
    def __matmul__(self, dense: Tensor) -> Tensor:
        """`[M, C]` to `[N, C]`, in float32 at least: sparse kernels have no bfloat16."""
        wide = dense if dense.dtype == torch.float64 else dense.float()
        return self.index.matmul(wide, input_value=self.value.to(wide.dtype))

    def dropout(self, p: float, training: bool) -> Sparse:
        """Dropout of the stored values; zeros would stay zeros."""
        return Sparse(self.index, dropout(self.value, p, training))

    def to(self, device: torch.device) -> Sparse:
        return Sparse(self.index.to(device), self.value.to(device))

"""Constant sparse matrices with a fast product: adjacency and bag-of-words features."""

from __future__ import annotations

import functools
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo.models.layers.dropout import dropout

Layout = tuple[Tensor, Tensor]  # of values sorted by row: index of each row's first, and columns
Form = Literal["csr", "gather"]
FORMS: tuple[Form, ...] = get_args(Form)


class Sparse:
    """A constant sparse matrix `[N, M]`, with its transpose for the product's gradient.

    Args:
        rows: layout of the values: `[N + 1]` where each row begins, `[nnz]` columns.
        columns: layout of the transpose's values.
        order: `[nnz]` the index of each of the transpose's values in `value`.
        value: `[nnz]`, sorted by row and column.
        form: how a GPU computes products, and every device their gradients: by the `csr` kernels of
            its vendor, or by one that gathers rows and sums them, `gather`. The results are equal
            up to rounding. The products themselves the CPU always computes by `gather`.

    >>> matrix = Sparse.of(torch.tensor([[0, 1], [1, 0]]), torch.tensor([2.0, 3.0]), (2, 2))
    >>> matrix @ torch.eye(2)
    tensor([[0., 2.],
            [3., 0.]])
    """

    def __init__(
        self, rows: Layout, columns: Layout, order: Tensor, value: Tensor, form: Form = "csr"
    ):
        self.rows, self.columns, self.order, self.value = rows, columns, order, value
        self.form = form

    @classmethod
    def of(cls, position: Tensor, value: Tensor, size: tuple[int, int]) -> Sparse:
        """A matrix of positions `[2, nnz]` (row, column) in any order, and their values."""
        order = torch.argsort(position[0] * size[1] + position[1])
        (row, column), value = position[:, order], value[order]
        by_column = torch.argsort(column)
        rows = begins(row, size[0]), column.int()
        columns = begins(column, size[1]), row[by_column].int()
        return cls(rows, columns, by_column, value)

    @classmethod
    def of_dense(cls, matrix: Tensor) -> Sparse:
        """The sparse form of a dense matrix `[N, M]`."""
        position = matrix.nonzero().T.contiguous()
        return cls.of(position, matrix[position[0], position[1]], (*matrix.shape,))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows[0]) - 1, len(self.columns[0]) - 1

    @functools.cached_property
    def matrix(self) -> Tensor:
        return torch.sparse_csr_tensor(*self.rows, self.value, self.shape)

    @functools.cached_property
    def turned(self) -> Tensor:
        """The transpose's values, `[nnz]`."""
        return self.value[self.order]

    @functools.cached_property
    def transpose(self) -> Tensor:
        return torch.sparse_csr_tensor(*self.columns, self.turned, self.shape[::-1])

    def taking(self, form: Form) -> Sparse:
        """The same matrix, multiplied in a form."""
        return Sparse(self.rows, self.columns, self.order, self.value, form)

    @torch.compiler.disable  # the compiler has no sparse tensors
    def __matmul__(self, dense: Tensor) -> Tensor:
        """The product, `[M, C]` to `[N, C]`, in float32 at least: sparse kernels lack bfloat16."""
        wide = dense if dense.dtype == torch.float64 else dense.float()
        return Product.apply(wide, self)

    def dropout(self, p: float, training: bool) -> Sparse:
        """The matrix with dropout of its stored values; zeros would stay zeros."""
        value = dropout(self.value, p, training)
        if value is self.value:
            return self
        return Sparse(self.rows, self.columns, self.order, value, self.form)

    def to(self, device: torch.device, non_blocking: bool = False) -> Sparse:
        parts = (*self.rows, *self.columns, self.order, self.value)
        a, b, c, d, order, value = (x.to(device, non_blocking=non_blocking) for x in parts)
        return Sparse((a, b), (c, d), order, value, self.form)


class Product(torch.autograd.Function):
    """The product of sparse and dense outside autocast, which would round the dense one alone."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, sparse: Sparse) -> Tensor:
        ctx.sparse = sparse
        if sparse.form == "gather" or dense.device.type == "cpu":
            return sums(sparse.rows, sparse.value.to(dense.dtype), dense)
        with torch.autocast(dense.device.type, enabled=False):
            return sparse.matrix.to(dense.dtype) @ dense

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,), sparse = grads, ctx.sparse
        if sparse.form == "gather":
            return sums(sparse.columns, sparse.turned.to(grad.dtype), grad.contiguous()), None
        with torch.autocast(grad.device.type, enabled=False):
            return sparse.transpose.to(grad.dtype) @ grad, None


def sums(rows: Layout, value: Tensor, dense: Tensor) -> Tensor:
    """The sum of the rows `[M, C]` that each row's columns name, times their values: `[N, C]`."""
    first, column = rows
    return F.embedding_bag(
        column, dense, first, mode="sum", per_sample_weights=value, include_last_offset=True
    )


def begins(row: Tensor, rows: int) -> Tensor:
    """The index of each row's first value, among values sorted by row, and their number.

    Args:
        row: `[nnz]` the row of each value, sorted.
        rows: N.

    Returns:
        `[N + 1]` int32.
    """
    return F.pad(torch.bincount(row, minlength=rows).cumsum(0), (1, 0)).int()

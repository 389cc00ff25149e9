"""The blocks of a stack as a field in time: its Euler steps, its flow, and the way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from zoo.seeding import generator
from zoo.stack import Stack

Weights = Literal["shared", "interpolated"]
FINEST = 32  # steps of the exact flow, of fourth order, for each block
REFINED = (8, 16, 32)  # Euler steps for each block, by which the order is measured
EXACT = 1e-10  # largest error of an inversion that has succeeded, over the largest value
ITERATIONS = 500  # of a fixed point
POWER = 50  # iterations for a largest singular value, fewer where it stays within
STILL = 1e-3


class Move(nn.Module):
    """What one write changes, d(x) = write(x, F(x)) - x.

    Args:
        parts: connection, branch, shortcut and post of the write.
    """

    def __init__(self, parts: Sequence[Any]):
        super().__init__()
        self.connection, self.branch, _, self.post = parts

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        new = self.connection(x, self.branch, *args)
        if isinstance(new, Tensor) and self.post is not None:
            new = self.connection.post(self.post, new)
        if not isinstance(new, Tensor) or new.shape != x.shape:
            raise ValueError("the Euler view needs a state of one tensor, of one shape throughout")
        return new - x


class Field:
    """The field d(t, x) of a stack, for 0 <= t < L.

    Args:
        stack: the blocks.
        weights: `shared` or `interpolated`.
    """

    def __init__(self, stack: Stack, weights: Weights):
        self.stack, self.weights = stack, weights
        self.moves = [Move(parts) for parts in stack.steps()]
        self.values = [dict([*m.named_parameters(), *m.named_buffers()]) for m in self.moves]
        shapes = [{name: value.shape for name, value in of.items()} for of in self.values]
        if weights == "interpolated" and any(these != shapes[0] for these in shapes):
            raise ValueError("weights=interpolated needs blocks with weights of the same shapes")

    def at(self, t: float) -> Callable[..., Tensor]:
        """The field at one time."""
        block = min(int(t), len(self.moves) - 1)
        rest, move = t - block, self.moves[block]
        if self.weights == "shared" or not rest or block + 1 == len(self.moves):
            return move
        here, there = self.values[block], self.values[block + 1]
        real = {n: v.lerp(there[n], rest) for n, v in here.items() if v.is_floating_point()}
        return lambda x, *args: functional_call(move, {**here, **real}, (x, *args))

    def path(self, x: Tensor, args: Sequence[Any], count: int) -> list[tuple[float, Tensor]]:
        """Time and value before every one of so many Euler steps, and at the end."""
        length = len(self.moves)
        step, x = length / count, self.stack.open(x)
        path = [(0.0, x)]
        for number in range(count):
            x = x + step * self.at(number * length / count)(x, *args)
            path.append(((number + 1) * length / count, x))
        return path

    def with_steps(self, x: Tensor, args: Sequence[Any], count: int) -> Tensor:
        """The output of the stack with so many Euler steps."""
        length = len(self.moves)
        step, x = length / count, self.stack.open(x)
        for number in range(count):
            x = x + step * self.at(number * length / count)(x, *args)
        return self.stack.close(x)

    def flow(self, x: Tensor, args: Sequence[Any]) -> Tensor:
        """The output of the stack as the exact flow, by fine steps of the fourth order.

        Source: the classical method of Runge and Kutta. Its steps do not cross from one block to
        the next, where shared weights jump.
        """
        x, step = self.stack.open(x), 1 / FINEST
        for block in range(len(self.moves)):
            for number in range(FINEST):
                t = block + number * step
                first, middle = self.at(t), self.at(t + step / 2)
                last = first if self.weights == "shared" else self.at(t + step)
                a = first(x, *args)
                b = middle(x + step / 2 * a, *args)
                c = middle(x + step / 2 * b, *args)
                x = x + step / 6 * (a + 2 * b + 2 * c + last(x + step * c, *args))
        return self.stack.close(x)

    def order(self, x: Tensor, args: Sequence[Any]) -> float:
        """The slope of log error by log step, by least squares."""
        end = self.flow(x, args)
        errors = [
            (self.with_steps(x, args, each * len(self.moves)) - end).norm().item()
            for each in REFINED
        ]
        if not all(0 < error < math.inf for error in errors):
            return math.nan
        step = -torch.tensor(REFINED, dtype=torch.float64).log()
        error = torch.tensor(errors, dtype=torch.float64).log()
        step, error = step - step.mean(), error - error.mean()
        return ((step * error).sum() / step.square().sum()).item()

    def contraction(self, path: Sequence[tuple[float, Tensor]], args: Sequence[Any]) -> float:
        """The largest step times singular value of the field's derivative along a path."""
        step, start = path[1][0], path[0][1]
        drawn = torch.randn(start.shape, generator=generator(0, "stretch"), dtype=start.dtype)
        direction, largest = drawn.to(start.device), 0.0
        for t, x in path[:-1]:
            size, direction = self.stretch(self.at(t), x, args, direction)
            largest = max(largest, step * size)
        return largest

    def stretch(
        self, move: Callable[..., Tensor], x: Tensor, args: Sequence[Any], v: Tensor
    ) -> tuple[float, Tensor]:
        """The largest singular value of the derivative at a point, with its direction.

        Forth the derivative is a central difference, back it is that of autograd, so that branches
        need no second derivative.

        Args:
            move: the field at one time.
            x: the point.
            args: further inputs of the branch.
            v: where the power iteration begins.
        """
        small, size = 1e-6 * (1 + x.norm()), 0.0
        with torch.enable_grad():
            point = x.detach().requires_grad_()
            moved = move(point, *args)
        for _ in range(POWER):
            before, v = size, v / v.norm()
            ahead, behind = move(x + small * v, *args), move(x - small * v, *args)
            forth = (ahead - behind) / (2 * small)
            size = forth.norm().item()
            if not 0 < size < math.inf or abs(size - before) <= STILL * size:
                break
            (v,) = torch.autograd.grad(moved, point, forth, retain_graph=True)
        return size, v

    def inversion(self, path: Sequence[tuple[float, Tensor]], args: Sequence[Any]) -> float:
        """The error of the first value of a path, computed back from the last."""
        step, start = path[1][0], path[0][1]
        x = path[-1][1]
        for t, _ in reversed(path[:-1]):
            move, target = self.at(t), x
            for _ in range(ITERATIONS):
                new = target - step * move(x, *args)
                change = (new - x).abs().max().item()
                x = new
                if change <= 1e-15 * (1 + x.abs().max().item()) or not change < math.inf:
                    break
            residual = (x + step * move(x, *args) - target).abs().max()
            if not residual <= EXACT * (1 + target.abs().max()):
                return math.inf
        return ((x - start).abs().max() / start.abs().max()).item()

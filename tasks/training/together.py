"""Runs that train together: each is its own, and their models are computed as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from pytorch_lightning import Trainer

from tasks.fast_callback import FastCallback
from tasks.training.process import random_states, set_random_states
from tasks.training.stacked import Inputs, Pass, Stacked, signature
from zoo.errors import ResourceError, ZooError, is_out_of_memory

TICK = 1.0  # seconds between two signs of life of the runs that wait
REASON = 200  # characters of a reason


class Group:
    """Runs in threads of one process, one of which goes on at a time.

    They meet twice a step: where a run calls its model, and where its loss has a gradient. There
    each waits until all others have come or ended, and one pass of `Stacked` serves all. All else,
    data, loss, optimiser, evaluation and files, is done by each run as if it were alone.

    Attributes:
        floor: held by the run that goes on.
        members: that are waited for.
        offers: of the runs that have come: the inputs of their model, or their pass.
        waiting: for the floor.
        answers: for runs that need wait no longer.
        stacked: the models of runs that share a pass.
        size: number of all runs.
    """

    def __init__(self) -> None:
        self.floor = threading.Condition()
        self.members: set[Seat] = set()
        self.offers: dict[Seat, Inputs | Pass] = {}
        self.waiting: set[Seat] = set()
        self.answers: dict[Seat, Any] = {}
        self.stacked: dict[tuple[Seat, ...], Stacked] = {}
        self.size = 0

    def seats(self, count: int) -> list[Seat]:
        """Makes the places of some runs, which wait for each other from the start."""
        seats = [Seat(self, number) for number in range(count)]
        self.members, self.size = set(seats), count
        return seats

    def leave(self, seat: Seat) -> None:
        """Lets the others go on without a run; if it comes back, its model may lie elsewhere."""
        self.members.discard(seat)
        self.stacked = {
            seats: models for seats, models in self.stacked.items() if seat not in seats
        }
        self.floor.notify_all()

    def meet(self, seat: Seat, offer: Inputs | Pass) -> Any:
        """Waits until all members have come, and returns what was computed of the offer.

        Errors:
            ResourceError: the computation failed, for all that shared it; each may do by itself.
        """
        self.offers[seat] = offer
        while seat in self.offers:
            if self.members <= self.offers.keys():
                self.conclude()
            else:
                self.wait(seat)
        answer = self.answers.pop(seat)
        if isinstance(answer, Exception):
            if isinstance(answer, ZooError) or is_out_of_memory(answer):
                raise answer
            reason = f"{type(answer).__name__}: {answer}"
            what = f"runs could not be computed together ({reason[:REASON]})"
            raise ResourceError(what, "together", "give together=1") from answer
        return answer

    def wait(self, seat: Seat) -> None:
        """Lets others go on for a while; the run finds the random states as it left them."""
        draws = random_states()
        self.waiting.add(seat)
        self.floor.wait()
        self.waiting.discard(seat)
        set_random_states(draws)

    def conclude(self) -> None:
        """Computes what is offered; runs that begin a step wait for those that are in one."""
        passes = {seat: offer for seat, offer in self.offers.items() if isinstance(offer, Pass)}
        chosen = passes or self.offers.copy()
        try:
            self.answers |= self.backward(passes) if passes else self.forward(chosen)
        except Exception as error:
            self.answers |= dict.fromkeys(chosen, error)
        for seat in chosen:
            del self.offers[seat]
        self.floor.notify_all()

    def forward(self, inputs: dict[Seat, Any]) -> dict[Seat, tuple[Pass, int]]:
        """The pass of each run and its number therein; inputs of different shapes do not share."""
        shares: list[tuple[Any, list[Seat]]] = []
        for seat in sorted(inputs, key=lambda seat: seat.number):
            kind = signature(inputs[seat])
            known = next((seats for other, seats in shares if other == kind), None)
            if known is None:
                shares.append((kind, known := []))
            known.append(seat)
        self.stacked = {
            (key := tuple(seats)): self.stacked.get(key) or Stacked([seat.model for seat in seats])
            for _, seats in shares
        }
        answers: dict[Seat, tuple[Pass, int]] = {}
        for seats, models in self.stacked.items():
            made = models.forward([inputs[seat] for seat in seats])
            answers |= {seat: (made, number) for number, seat in enumerate(seats)}
        return answers

    def backward(self, passes: dict[Seat, Pass]) -> dict[Seat, None]:
        """Computes the gradients of all weights."""
        for made in {id(made): made for made in passes.values()}.values():
            made.backward()
        return dict.fromkeys(passes)


class Seat(FastCallback):
    """The place of a run in a group: its model's next call in a step is the group's.

    Args:
        group: that it belongs to.
        number: that tells it apart.

    Attributes:
        model: of the run.
        alive: tells its watchdog that it lives.
    """

    model: Any
    alive: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, group: Group, number: int):
        self.group, self.number = group, number
        self.made: Pass | None = None

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        self.model, self.alive = task.model, task.alive
        self.group.members.add(self)

    def on_train_batch_start(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.model.forward = self.call

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the model's answer with those of the others."""
        del self.model.forward
        self.made, number = self.group.meet(self, (args, kwargs))
        return self.made.answers[number]

    def on_after_backward(self, trainer: Trainer, task: Any) -> None:
        assert self.made is not None  # `call` was there
        made, self.made = self.made, None
        self.group.meet(self, made)

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        self.group.leave(self)

    def on_exception(self, trainer: Trainer, task: Any, error: BaseException) -> None:
        self.group.leave(self)


def run_together(runs: Sequence[Callable[[Seat], Any]]) -> list[Any]:
    """What some runs return, which train together.

    Args:
        runs: called with their seats, each in a thread; they raise nothing.
    """
    group = Group()
    seats = group.seats(len(runs))
    returned: list[Any] = [None] * len(runs)

    def take(number: int) -> None:
        with group.floor:
            try:
                returned[number] = runs[number](seats[number])
            finally:
                group.leave(seats[number])

    threads = [threading.Thread(target=take, args=[n], daemon=True) for n in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(TICK)
            for seat in list(group.waiting):  # none of them hangs; who holds the floor may
                seat.alive()
    return returned

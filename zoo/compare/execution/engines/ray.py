"""The engine of a Ray cluster: actors that each keep a worker program on one of its nodes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from annotated_types import Ge, Le

from zoo.compare.execution.engine import Outcome, Terms, runs_in
from zoo.compare.execution.engines.ray_cluster import (
    LOCAL,
    Cluster,
    check_answers,
    require_ray,
    why_lost,
)
from zoo.compare.execution.engines.ray_seat import RaySeat
from zoo.compare.execution.engines.worker_process import LOG, PATIENCE, hung
from zoo.errors import ResourceError
from zoo.system.shared_folder import not_seen, sign

GRACE = 30.0  # seconds beyond its limit after which a job's actor is taken to hang itself


@dataclass
class Seat:
    """An actor and the job that it works on.

    Args:
        actor: of Ray.
        number: of the seat.
        job: name of its job; empty where it is idle.
        request: of the job, as long as the actor has not begun.
        limit: seconds that the job may take.
        latest: when the job must have ended, by the monotonic clock; None: it waits for room.
        answer: what Ray will give: of `begin`, later of `work`.
    """

    actor: Any
    number: int
    answer: Any
    job: str = ""
    request: dict[str, Any] | None = None
    limit: float = 0.0
    latest: float | None = None


class RayEngine:
    """Workers on the nodes of a Ray cluster, with a core each, and GPUs where there are any.

    Of runs on several devices, each worker has as many GPUs or cores of one node as the largest
    asks for.

    Args:
        terms: of the comparison.
        address: of a cluster, such as `auto`; None: RAY_ADDRESS, or one on this machine that ends
            with the comparison.
        gpus: of a worker, such as 0.25, and at most one; None: one where the cluster has GPUs.

    Errors:
        ConfigError: Ray is not installed, a node does not see the folder of the comparison, or runs
            on several GPUs shall share them.
        ResourceError: there is no such cluster, or no node of it has room for a worker.
    """

    def __init__(
        self,
        terms: Terms,
        address: str | None = None,
        gpus: Annotated[float, Ge(0.01), Le(1)] | None = None,
    ):
        require_ray()
        self.address = address or os.environ.get("RAY_ADDRESS") or LOCAL
        check_answers(self.address)
        if gpus:
            terms.refuse_sharing("engine.gpus")
        self.terms, self.gpus = terms, gpus
        self.seats: dict[int, Seat] = {}

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster, which is joined or started when the first job asks for it."""
        return Cluster(self.address)

    @cached_property
    def workers(self) -> int:
        """The most jobs at a time."""
        return self.terms.workers or self.room()

    @property
    def free(self) -> int:
        """The number of jobs that can be submitted now."""
        return self.workers - sum(bool(seat.job) for seat in self.seats.values())

    @property
    def note(self) -> str:
        """How many workers have no node yet, in words; empty where all have one."""
        count = sum(seat.request is not None for seat in self.seats.values())
        return f"{count} workers wait for room in the cluster" if count else ""

    @cached_property
    def need(self) -> dict[str, float]:
        """What a worker needs of a node, in the words of Ray."""
        devices = float(self.terms.devices)
        if self.gpus or self.cluster.has("GPU"):
            return {"CPU": 1.0, "GPU": self.gpus or devices}
        return {"CPU": devices}

    def room(self) -> int:
        """The number of workers that the cluster has room for; ResourceError where it has none."""
        if most := self.cluster.most(self.need):
            return most
        asked = " and ".join(f"{count:g} {kind}" for kind, count in self.need.items())
        fix = "ask for less by engine.gpus= or trainer.devices=, or add a node"
        raise ResourceError(f"no node has {asked}", f"engine.address={self.address}", fix)

    def start(self) -> Seat:
        """A new actor, which waits until a node has room for it."""
        self.room()
        number = next(n for n in range(len(self.seats) + 1) if n not in self.seats)
        actor = self.cluster.ray.remote(RaySeat).options(
            num_cpus=self.need["CPU"], num_gpus=self.need.get("GPU", 0), max_concurrency=2
        )
        log = (self.terms.logs / LOG.format(number)).absolute()
        part = min(1.0, self.need.get("GPU", 1.0))
        handle = actor.remote(tuple(self.terms.program), str(log), os.getcwd(), part)
        self.seats[number] = Seat(handle, number, handle.begin.remote(sign(log)))
        return self.seats[number]

    def submit(self, job: str, request: dict[str, Any]) -> None:
        """Gives a job to an idle worker, or to one that is started for it."""
        idle = next((seat for seat in self.seats.values() if not seat.job), None)
        seat = idle or self.start()
        seat.job, seat.limit = job, self.terms.seconds * runs_in(request)
        seat.request = request
        if idle:
            self.give(idle)

    def give(self, seat: Seat) -> None:
        """Has the actor of a seat begin its job."""
        seat.answer = seat.actor.work.remote(seat.request, seat.limit)
        seat.request, seat.latest = None, time.monotonic() + seat.limit + GRACE

    def poll(self, seconds: float) -> list[Outcome]:
        """The jobs that ended; waits for one some seconds at most, and ends actors that hang.

        Errors:
            ConfigError: a node does not see the folder of the comparison.
        """
        busy = {seat.answer: seat for seat in self.seats.values() if seat.job}
        if not busy:  # another process has what is left
            time.sleep(seconds)
            return []
        ray, outcomes = self.cluster.ray, []
        if ray.wait([*busy], timeout=seconds)[0]:
            for answer in ray.wait([*busy], num_returns=len(busy), timeout=0)[0]:
                outcomes += self.ended(busy[answer])
        for seat in list(self.seats.values()):
            if seat.job and seat.latest and time.monotonic() > seat.latest:
                self.end(seat)
                outcomes.append(self.outcome(seat, None, hung(seat.limit)))
        return outcomes

    def ended(self, seat: Seat) -> list[Outcome]:
        """The outcome of a seat whose answer has come; none where it has only begun."""
        try:
            first, second = self.cluster.ray.get(seat.answer)
        except self.cluster.ray.exceptions.RayError as error:
            self.end(seat)
            return [self.outcome(seat, None, why_lost(error))]
        if seat.request is None:
            return [self.outcome(seat, first, second)]
        if second:
            raise not_seen(first, second)
        self.give(seat)
        return []

    def outcome(self, seat: Seat, answer: dict[str, Any] | None, lost: str) -> Outcome:
        """How the job of a seat ended, which is idle from now on."""
        job, seat.job, seat.request, seat.latest = seat.job, "", None, None
        return Outcome(job, answer, lost, f"{self.terms.logs.name}/{LOG.format(seat.number)}")

    def end(self, *seats: Seat) -> None:
        """Ends actors and their workers, however busy they are."""
        ray = self.cluster.ray
        if stopping := [seat.actor.stop.remote() for seat in seats if seat.latest]:
            ray.wait(stopping, num_returns=len(stopping), timeout=PATIENCE)
        for seat in seats:
            ray.kill(seat.actor)
            del self.seats[seat.number]

    def close(self) -> None:
        """Ends all workers, and a cluster that was started for them."""
        if "cluster" in vars(self):
            self.end(*self.seats.values())
            self.cluster.close()

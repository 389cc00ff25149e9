"""Commands in processes of their own that find the imports done: forked from one that waits."""

import multiprocessing
import os
import socket

SERVER = multiprocessing.get_context("forkserver")
LOADED = [
    "tasks.training.run",
    "tasks.inference.use",
    "tasks.training.train",
    "tasks.diffusion.task",
    "tasks.data.graphs.csbm",
]
LOADED += ["tasks.cnn.task", "tasks.unet.task", "tasks.transformer.task", "tasks.gnn.task"]
LOADED += ["zoo.probes.plots", "zoo.models.gnn", "hydra", "pydantic", "pytest"]
SERVER.set_forkserver_preload(LOADED)


def speak(words, err, out=os.devnull):
    """Runs a command in this process and ends it.

    Args:
        words: of the command line.
        err: the file or terminal for its messages.
        out: the file for what it prints.
    """
    from zoo.cli.main import main
    from zoo.system.console import open_standard_streams

    for number, name in ((1, out), (2, err)):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOCTTY), number)
    open_standard_streams()
    os._exit(main(words))


def places(world):
    """The variables by which the processes of one run on this machine find each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world)}
    return [{**place, "LOCAL_RANK": str(number)} for number in range(world)]


def torchrun_places(world, each=None):
    """The variables that torchrun gives the processes of a run, some of them on each machine."""
    each = each or world
    more = {"LOCAL_WORLD_SIZE": str(each), "GROUP_WORLD_SIZE": str(world // each)}
    return [
        {**place, **more, "RANK": str(rank), "LOCAL_RANK": str(rank % each)}
        for rank, place in enumerate(places(world))
    ]


def surrounded(environment, target, args):
    """Calls a function with one thread, under the variables that hold where it was started."""
    import torch

    torch.set_num_threads(1)
    os.environ.clear()
    os.environ.update(environment)
    target(*args)


def start(target, *args):
    """A process that runs a function of a module."""
    process = SERVER.Process(target=surrounded, args=(dict(os.environ), target, args))
    process.start()
    return process

"""Errors by which a process hears of the end of another one, and those that say another thing."""

import socket
from datetime import timedelta

import pytest
from torch.distributed import DistBackendError, TCPStore

from tasks.recovery.ranks import is_lost_process

GONE = {  # what was said, and where a user has reported it
    "[../third_party/gloo/gloo/transport/tcp/pair.cc:598] Connection closed by peer [18.25.6.30]": (
        RuntimeError,
        "pytorch/pytorch#75512",
    ),
    "NCCL error in: NCCLUtils.hpp:268, remote process exited or there was a network error, NCCL "
    "version 2.21.5": (DistBackendError, "NVIDIA/nccl#2076"),
    "NCCL error in: ProcessGroupNCCL.cpp:1275, internal error, NCCL version 2.14.3\n"
    "Last error:\nNet : Connection closed by remote peer user<50260>": (
        DistBackendError,
        "NVIDIA/nccl#1514",
    ),
    "[PG 1 Rank 7] Process group watchdog thread terminated with exception: [Rank 7] Watchdog "
    "caught collective operation timeout: WorkNCCL(SeqNum=199)": (
        DistBackendError,
        "NVIDIA/Megatron-LM#935",
    ),
}
OTHERS = {
    "NCCL error in: ProcessGroupNCCL.cpp:1287, invalid usage, NCCL version 2.17.1\nDuplicate GPU "
    "detected : rank 1 and rank 0 both on CUDA device 1000": (DistBackendError, "NVIDIA/nccl#1241"),
    "NCCL error in: ProcessGroupNCCL.cpp:1331, unhandled cuda error": (
        DistBackendError,
        "pytorch/pytorch#111187",
    ),
    "Broken pipe": (BrokenPipeError, "a closed standard output"),
    "mat1 and mat2 shapes cannot be multiplied": (RuntimeError, "a net"),
}


@pytest.mark.parametrize("text", GONE)
def test_what_is_said_of_a_process_that_is_gone(text):
    assert is_lost_process(GONE[text][0](text))


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_said_of_other_errors(text):
    assert not is_lost_process(OTHERS[text][0](text))


def raised(act):
    with pytest.raises(RuntimeError) as found:
        act()
    return found.value


def test_a_store_that_is_gone_or_silent_is_a_lost_process_and_a_taken_port_is_none():
    """PyTorch's own errors, of the store in which the processes of a run meet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = free.getsockname()
    server = TCPStore(*place, is_master=True, wait_for_workers=False)
    client = TCPStore(*place, timeout=timedelta(seconds=0.2))
    taken = raised(lambda: TCPStore(*place, is_master=True, wait_for_workers=False))
    silent = raised(lambda: client.get("never set"))
    del server
    gone = [raised(lambda: client.get("a")), raised(lambda: client.set("a", "b"))]
    assert not is_lost_process(taken)
    assert [is_lost_process(error) for error in (silent, *gone)] == [True] * 3

"""Runs that repeat bit for bit on a GPU, as far as PyTorch can."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # read when cuBLAS starts
WARNS = re.compile(r"(?s).*(not have a deterministic|not deterministic|non-deterministic)")


def repeatable_attention() -> contextlib.AbstractContextManager[Any]:
    """Has attention on a GPU computed by plain matrix products.

    PyTorch's faster kernels have a backward pass that repeats, and take it in strict mode alone,
    which would end the run at the first other kernel that has none.
    """
    if not torch.cuda.is_available():
        return contextlib.nullcontext()
    return sdpa_kernel(SDPBackend.MATH)


@contextlib.contextmanager
def deterministic(wanted: bool) -> Iterator[set[str]]:
    """Within, PyTorch takes kernels that repeat; the set fills with the names of those that do not.

    The settings of before come back at the end.

    Args:
        wanted: otherwise nothing is done.
    """
    unrepeatable: set[str] = set()
    if not wanted:
        yield unrepeatable
        return
    cudnn = torch.backends.cudnn
    mode, flags = torch.get_deterministic_debug_mode(), (cudnn.deterministic, cudnn.benchmark)
    cublas = os.environ.get(CUBLAS)
    os.environ.setdefault(CUBLAS, ":4096:8")
    cudnn.deterministic, cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(True, warn_only=True)
    with repeatable_attention(), warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, *where: Any, **rest: Any) -> None:
            text = str(message)
            if not WARNS.match(text):
                show(message, *where, **rest)
            elif "CuBLAS" in text:
                unrepeatable.add("cuBLAS")
            else:
                unrepeatable.add(re.split(" does not have | defaults to ", text)[0])

        warnings.showwarning = note
        warnings.filterwarnings("always", message=WARNS.pattern)
        try:
            yield unrepeatable
        finally:
            torch.set_deterministic_debug_mode(mode)
            cudnn.deterministic, cudnn.benchmark = flags
            os.environ.pop(CUBLAS)
            os.environ.update({} if cublas is None else {CUBLAS: cublas})

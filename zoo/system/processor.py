"""The processor of this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def processor() -> dict[str, Any]:
    """The name of the processor and the number of its cores."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count()}

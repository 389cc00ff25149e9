"""Small records, which are read only as they were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sealed(values: Mapping[str, Any]) -> bytes:
    """Plain values of JSON as the bytes of a file, of which a line of SHA-256 comes first.

    >>> unsealed(sealed({"a": [1, "b"]}))
    {'a': [1, 'b']}
    """
    content = json.dumps(values).encode()
    return f"{hashlib.sha256(content).hexdigest()}\n".encode() + content


def unsealed(file: bytes) -> dict[str, Any]:
    """The values of the bytes of a file; ValueError for any that `sealed` never gave."""
    digest, _, content = file.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise ValueError("it is not as it was written")
    values: dict[str, Any] = json.loads(content)
    return values

"""A machine that shares a folder by a file system that tells of changes late: python lagging.py.

What it looked for in vain stays absent for it for a while, as the caches of NFS have it, and locks
are of each machine alone. What NFS guarantees holds: names are made, linked and renamed for all
machines at once, a file that is opened shows what was written, and a folder that is opened is read
anew.
"""

import errno
import io
import json
import os
import socket
import sys
import time

import stub_compare

import zoo.system.lease as lease_file

LAG = 3.0  # seconds


def late(root, rereads):
    """Has this process see new names in a folder late.

    Args:
        root: the folder.
        rereads: whether opening a folder shows its new names.
    """
    absent = {}  # when a name was looked for in vain

    def look(path, inner, *args, **options):
        name = os.path.abspath(os.fspath(path)) if not isinstance(path, int) else ""
        if not name.startswith(root):
            return inner(path, *args, **options)
        for part in (name, os.path.dirname(name)):
            if time.monotonic() - absent.get(part, -LAG) < LAG:
                raise FileNotFoundError(errno.ENOENT, "not seen yet", name)
        try:
            return inner(path, *args, **options)
        except FileNotFoundError:
            up = os.path.dirname(name)
            absent[name if os.path.isdir(up) else up] = time.monotonic()
            raise

    stat, opened, rename, listdir = os.stat, io.open, os.rename, os.listdir
    link, mkdir = os.link, os.mkdir

    def made(path):  # here it is known from now on
        absent.pop(os.path.abspath(os.fspath(path)), None)

    def open_late(path, mode="r", *args, **options):
        if isinstance(path, int) or set(mode) & set("wax"):  # makes the name for all
            file = opened(path, mode, *args, **options)
            if not isinstance(path, int):
                made(path)
            return file
        return look(path, opened, mode, *args, **options)

    def list_anew(path="."):
        names = listdir(path)
        for name in names if rereads else ():
            absent.pop(os.path.join(os.path.abspath(os.fspath(path)), name), None)
        return names

    os.stat = lambda path, *a, **o: look(path, stat, *a, **o)
    os.rename = lambda path, to, **o: (look(path, rename, to, **o), made(to))
    os.link = lambda path, to, **o: (link(path, to, **o), made(to))
    os.mkdir = lambda path, *a, **o: (mkdir(path, *a, **o), made(path))
    io.open, os.listdir = open_late, list_anew


if __name__ == "__main__":
    path, host, rereads, count = sys.argv[1:]
    socket.gethostname = lambda: host
    lease_file.lock = lambda file: True  # nobody else has it, for all that this machine knows
    late(path, rereads == "True")
    names = [f"cell{i}" for i in range(int(count))]
    found = stub_compare.parent(path, names, 1, 0.0, 60.0)
    print(json.dumps({"done": found.done, "failed": found.failed}))

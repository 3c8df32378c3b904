"""The command line: one module for each group of commands, and what they share in :mod:`.console`.

A command reads the settings, runs the jobs that the sensors request or reads the stores, and prints the result. What
doesn't belong here: a rule or an effect of its own. Exit codes: 0 done, 1 done but partial, 2 failed, 130 ended by
Ctrl-C; an error is one line on standard error. Dagster takes seconds to import, so commands import it only where they
need it.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130
"""Exit code at Ctrl-C: 128 and the number of SIGINT."""

_ALLOCATIONS_PER_COLLECTION = 50_000
_ROOM = 40_000  # words of a chunk of 65,536, so that 200 KiB are left


def main() -> None:
    """Run the command line; an error becomes one line and exit code 2, Ctrl-C exit code 130."""
    try:
        _run_command()
    except BaseException as error:
        if _is_interrupt(error):
            sys.stderr.write("interrupted: steps that were done stay done; run the command again to go on\n")
            sys.exit(INTERRUPTED)
        if not isinstance(error, Exception):
            raise
        from prediction_assets.cli.console import FAILED, say
        from prediction_assets.errors import PredictionAssetsError, one_line

        text = str(error)
        if not isinstance(error, PredictionAssetsError):  # its traceback is in the Dagster run
            text = (
                f"unexpected {type(error).__name__}: {one_line(text) or 'no message'}; the traceback is in the failed "
                "run, see `prediction-assets dev`, Runs. Steps that were done stay done; run the command again"
            )
        say(f"error: {text}", err=True)
        sys.exit(FAILED)


def _run_command() -> None:
    # Imports make many objects that live as long as the process: collecting them frees nothing. So this comes first.
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
    # pydantic would read the metadata of every installed package, in case one of them is a plugin of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # OpenBLAS's threads would wait busily for each other's next piece, and a parallel sum's rounding depends on their
    # number. What a slate multiplies is small.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from prediction_assets.cli.commands import only

    only("".join(sys.argv[1:2]))()


def _is_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is about Ctrl-C; Dagster raises one of its own in its place."""
    seen = set[int]()  # a cause may have been raised while its consequence was handled
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "DagsterExecutionInterruptedError":
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _with_room(call: Callable[[], None]) -> None:
    """Call a function whose own calls, however deep, keep their frames in one piece of memory.

    CPython keeps frames in chunks of 16 KiB; it maps one when a call crosses the end of the last, and unmaps it when
    that call returns (``push_chunk`` in Python/pystate.c). Imports of Dagster nest so deep that they did so 6,400 times
    (``strace -f -c -e trace=munmap prediction-assets run``), for a tenth of a small slate's time. This frame is so
    large that its chunk is, too, and the frames above it share the rest.
    """
    call()


_with_room.__code__ = _with_room.__code__.replace(co_stacksize=_ROOM)


def script() -> NoReturn:
    """Run :func:`main` as a process of its own, and end it without freeing a quarter of a million objects one by one.

    What is registered for the end runs first: connections are closed, logs written.
    """
    try:
        _with_room(main)
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        code = ended.code
    else:
        code = 0
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None where it was closed before the start
            stream.flush()
    except OSError:  # Python says what it couldn't write, and has an exit code for it
        sys.exit(code)
    os._exit(code)

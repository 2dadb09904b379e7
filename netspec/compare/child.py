"""The program of a process that runs one backend: takes tasks on standard input, answers on standard output.

It is started by its path, so that it shares nothing with the program that started it but what the first message says:
where modules are found. Standard output is for answers alone; whatever a framework prints goes to standard error.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from typing import Any, BinaryIO


def main() -> None:
    """Serve tasks until the input ends. Each answer is `(kind, value)`: ok, refused (NetspecError) or failed (text)."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks = sys.stdin.buffer
    sys.path[:] = pickle.load(tasks)

    from netspec.compare.session import Session
    from netspec.errors import NetspecError

    session = Session()
    while True:
        try:
            task = pickle.load(tasks)
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("ok", session.run(task))
        except NetspecError as error:
            answer = ("refused", error)
        except Exception:  # noqa: BLE001 (whatever a framework raises is the failure of this process)
            answer = ("failed", traceback.format_exc())
        send(answers, answer)


def send(stream: BinaryIO, value: Any) -> None:
    """One message: a pickle, as large as it is."""
    pickle.dump(value, stream, protocol=5)
    stream.flush()


if __name__ == "__main__":
    main()

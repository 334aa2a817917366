"""The entry point: runs a command and turns whatever ends it into an exit code.

An exit code is a verdict only where a gate gave one: 1 means fail, so a crash must never leave with Python's own 1.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from headgate.errors import HeadgateError

INFRASTRUCTURE = 3
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run_command(argv))


def run_command(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Arrow's own pool keeps what it once had: 80 MB more at the peak of a run. It reads this when it is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from headgate.cli.app import app

    try:
        app(args=None if argv is None else list(argv), prog_name="headgate")
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0 if leave.code is None else INFRASTRUCTURE
    except HeadgateError as error:
        from headgate.report.inert import terminal  # names of files and branches are anyone's

        sys.stderr.write(f"headgate: {terminal(str(error))}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; keep the interpreter from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INFRASTRUCTURE
    except Exception:  # noqa: BLE001 - the last resort: a fault of headgate is never a verdict
        traceback.print_exc()
        sys.stderr.write("headgate: this is a fault of headgate; please report it with the lines above\n")
        return INFRASTRUCTURE
    return 0

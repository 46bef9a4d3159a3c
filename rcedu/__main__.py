"""`python -m rcedu` and the command `rcedu`."""

import os
import signal
import sys


def main() -> None:
    """The command line; Ctrl-C at any moment, even during imports, gives one line and exit code 130."""
    try:
        try:
            _main()
        finally:
            sys.stdout.flush()
    except OSError as error:  # printing failed
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or it would fail again, with another message, when Python exits
        if isinstance(error, BrokenPipeError):  # the reader has seen enough
            raise SystemExit(128 + 13) from None
        print(f"rcedu: could not print: {error.strerror}; free some space and run the same command again", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as stopped:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends it at once
        print(f"rcedu: {str(stopped) or 'interrupted; run the same command again to go on'}", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


def _main() -> None:
    from rcedu.system.interrupts import note_interrupts
    from rcedu.system.workers import worker_context

    note_interrupts()
    if sys.argv[1:2] in (["demo"], ["unseen"]) and not {"--help", "-h"} & set(sys.argv):
        worker_context("rcedu.experiments.unseen_digit")  # its imports take seconds: side by side with those of this process
    from rcedu.commands.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()

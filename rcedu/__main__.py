"""`python -m rcedu` and the command `rcedu`."""

import sys


def main() -> None:
    if sys.argv[1:2] in (["demo"], ["unseen"]) and not {"--help", "-h"} & set(sys.argv):
        from rcedu.system.workers import start_early

        start_early("rcedu.experiments.unseen_digit")  # takes seconds: the workers and this process import it side by side
    from rcedu.commands.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()

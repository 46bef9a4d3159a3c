"""rcedu: teach and reproduce random conditioning and guided step distillation.

A folder imports only from folders above it in this list; tests/test_folders.py reads the list and checks.

    equations    the papers' formulas: torch only
    system       files, settings, processes
    data         what networks learn from: MNIST, captions, prompts, the teacher's samples
    models       networks and their parts: surgery, anatomies, judges, cost
    training     one trainer, and the steps it repeats
    evaluation   scores, intervals, records
    experiments  questions asked of a domain
    figures      plots and explorers
    course       notebooks, assignments and their checks (imports nothing below models)
    commands     the command line

Besides these there is `colab`, which runs before anything is installed.
"""

__version__ = "0.1.0"

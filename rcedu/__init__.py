"""rcedu: teach and reproduce random conditioning and guided step distillation.

A folder imports only folders that stand above it in this list; a test (tests/test_folders.py) reads it here.

    equations    the papers' formulas: torch only
    system       files, settings, processes
    data         what is learned from: MNIST, captions, prompts, the teacher's samples
    models       networks and their parts: surgery, anatomies, judges, cost
    training     one trainer, and the steps it repeats
    evaluation   scores, intervals, records
    experiments  questions asked of a domain
    figures      what is drawn
    course       notebooks executed, assignments made and graded, the checks (imports nothing below models)
    commands     the command line

Beside them `colab`, which runs before anything is installed.
"""

__version__ = "0.1.0"

"""Imported first in the fork server (`rcedu.system.workers`): it ends when the process that started it does, also while it
imports for seconds, when it would not notice. Of Linux only; elsewhere it ends when it has imported.
"""

import ctypes
import os
import signal
import sys

_WHEN_PARENT_DIES = 1  # of prctl

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_WHEN_PARENT_DIES, signal.SIGKILL, 0, 0, 0)
if os.environ.get("RCEDU_FORKS_FOR", parent := str(os.getppid())) != parent:  # it is gone already
    os._exit(1)

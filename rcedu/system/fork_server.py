"""Imported first in the fork server (`rcedu.system.workers`), so that it ends with the process that started it, even during
its seconds of imports, when it would not notice by itself. On Linux only; elsewhere it ends after its imports.
"""

import ctypes
import os
import signal
import sys

_WHEN_PARENT_DIES = 1  # an option of prctl

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_WHEN_PARENT_DIES, signal.SIGKILL, 0, 0, 0)
if os.environ.get("RCEDU_FORKS_FOR", parent := str(os.getppid())) != parent:  # the parent is gone already
    os._exit(1)

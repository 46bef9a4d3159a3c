"""python -m tests.campaign"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest has it: `small`, `campaign` and the others stand in tests/
# A trial a core; no network; everything small. (torch reads the first when it is imported.)
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RCEDU_PRESET": "smoke"}

if sys.platform != "linux":
    sys.exit("the campaign forks, and reads /proc: it runs on Linux")

from campaign.command import main

if __name__ == "__main__":
    main()

"""What makes a worker process know the engines of the benchmarks.

Python imports this file when a process starts that has the folder on its path; `peers.register` puts it there.
"""

from __future__ import annotations

from pathlib import Path

import rooftune.execute.backends

rooftune.execute.backends.__path__.append(str(Path(__file__).parents[1]))

"""Makes the judge of killed algos, which lives with the processes it judges, importable here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "stack"))

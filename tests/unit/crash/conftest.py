"""Makes the judge of the crash, which lives with the processes it judges, importable here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "stack"))
sys.path.insert(0, str(Path(__file__).parent))

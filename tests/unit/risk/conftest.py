"""Where the tests of portfolio risk find their makers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

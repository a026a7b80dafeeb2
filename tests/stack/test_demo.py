"""`pms demo`: from nothing to a traded, audited system and back to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack
SCENES = ("filled", "cancelled", "partially filled", "closed", "refused QUANTITY_STEP", "updated")


def test_the_demo_agrees_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
    demo = subprocess.run(
        [sys.executable, "-m", "pms.cli.main", "demo"],
        env={**environment, "TMPDIR": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout[-3000:] + demo.stderr[-3000:]
    for scene in SCENES:
        assert scene in demo.stdout, scene
    assert "DIFFERS" not in demo.stdout
    assert list(tmp_path.iterdir()) == []

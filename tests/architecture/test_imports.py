"""The import contracts of setup.cfg hold."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_packages_import_only_what_their_contracts_allow() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_every_package_of_the_project_stands_in_a_layer() -> None:
    layers = (ROOT / "setup.cfg").read_text()
    packages = {
        path.stem for path in (ROOT / "iris_pipelines").iterdir() if path.stem not in ("__init__", "__pycache__")
    }
    missing = sorted(name for name in packages if name not in layers and not name.startswith("py"))
    assert missing == []

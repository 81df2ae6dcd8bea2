"""Install exactly the conda packages of a lock: ``python install_conda.py conda-lock.json PREFIX``.

Shipped with a package, and run while its image is built, by a Python that has rattler (py-rattler).
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import rattler


def record(content: dict[str, Any], beside: Path) -> Any:
    """One package of the lock. A relative URL names a file beside the lock."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        package = rattler.PackageRecord.from_index_json(Path(file.name))
    url = content["url"] if "://" in content["url"] else (beside / content["url"]).as_uri()
    return rattler.RepoDataRecord(package, content["fn"], url, content["channel"])


async def install(lock: Path, prefix: Path) -> None:
    """Fill the prefix."""
    packages = [record(each, lock.absolute().parent) for each in json.loads(lock.read_text(encoding="utf-8"))]
    with tempfile.TemporaryDirectory() as cache:
        await rattler.install(packages, prefix, cache_dir=Path(cache), show_progress=False)


if __name__ == "__main__":
    asyncio.run(install(Path(sys.argv[1]), Path(sys.argv[2])))

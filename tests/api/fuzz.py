"""schemathesis over the whole schema, with all checks: as a participant and as an outsider.

Each starts with data of its own, since what is tried deletes it.  Run by `make fuzz-api`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.api.server import ApiServer, api_server
from tests.running import ROOT

CONFIG = Path(__file__).with_name("schemathesis.toml")
PEOPLE = {"participant": "anna", "outsider": "carl"}


def fuzz(
    server: ApiServer, name: str, *, examples: int, seed: int, seconds: int, **options: object
) -> subprocess.CompletedProcess[str]:
    """Runs schemathesis with the token of ``name``; its report is the output.

    ``examples`` of each operation, and of sequences of them, for at most ``seconds``.
    """
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run"]
    command += [f"{server.url}/api/schema/", "--no-color", "--checks=all"]
    command += [f"--max-examples={examples}", f"--seed={seed}", "--generation-database=none"]
    return subprocess.run(
        command,
        cwd=server.installation.data_dir,  # it leaves a folder
        env={
            **os.environ,
            "TOKEN": server.tokens[name],
            "TOKEN_TO_END": server.tokens["dora"],
            "PYTHONPATH": str(ROOT),
        },
        text=True,
        timeout=seconds,
        check=False,
        **options,
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("examples", type=int, help="of each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    failed = False
    for role, name in PEOPLE.items():
        with tempfile.TemporaryDirectory() as folder, api_server(Path(folder)) as server:
            print(f"As {role}:", flush=True)
            done = fuzz(
                server, name, examples=arguments.examples, seed=arguments.seed, seconds=24 * 3600
            )
            failed = failed or done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

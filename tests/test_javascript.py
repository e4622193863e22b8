"""Node and the npm packages that other tests run are those that the lock names."""

import json
import subprocess

from tests.machine import JAVASCRIPT, node

LOCK = json.loads((JAVASCRIPT / "package-lock.json").read_text())


def test_packages_are_those_of_the_lock() -> None:
    program = node()
    for name in json.loads((JAVASCRIPT / "package.json").read_text())["dependencies"]:
        installed = json.loads((JAVASCRIPT / "node_modules" / name / "package.json").read_text())
        assert installed["version"] == LOCK["packages"][f"node_modules/{name}"]["version"]
    script = 'import { Upload } from "tus-js-client"; console.log(typeof Upload)'
    ran = subprocess.run(
        [program, "--input-type=module", "--eval", script],
        cwd=JAVASCRIPT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == "function\n"


def test_the_lock_names_no_registry() -> None:
    """Each package is known by its hash, and comes from the registry that npm is set to."""
    for path, package in LOCK["packages"].items():
        assert "resolved" not in package, path
        assert not path or package["integrity"].startswith("sha512-"), path

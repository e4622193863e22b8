"""A web worker has loaded everything before its first request and never walks through it again."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.test_project import ROOT

PROGRAM = """
import gc, json, sys
import config.wsgi
from django.template import engines

(partials,) = engines["django"].engine.template_loaders
(loader,) = partials.loaders
print(json.dumps({
    "out of sight": gc.get_freeze_count(),
    "in sight": len(gc.get_objects()),
    "templates": [key for key in loader.get_template_cache if key.startswith("moderation/")],
    "views": [name for name in sys.modules if name.startswith("moderation.views.")],
}))
"""


def test_a_worker_that_is_loaded(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATA_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ran.stdout)
    assert found["out of sight"] > 50_000
    assert found["in sight"] < 1_000
    assert {"moderation/videos.html", "moderation/cells/thumbnail.html"} <= {*found["templates"]}
    assert {"moderation.views.video_list", "moderation.views.people"} <= {*found["views"]}

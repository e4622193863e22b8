"""Importing this sets Django up on a DATA_DIR of its own, deleted at the end; where Django
is set up already (in tests) it is left as it is.
"""

import atexit
import os
import shutil
import tempfile

import django
from django.apps import apps

if not apps.ready:
    _data_dir = tempfile.mkdtemp(prefix="offchat-bench-")
    atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)
    os.environ["DATA_DIR"] = _data_dir
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "error")
    django.setup()

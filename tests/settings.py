"""The product's settings, on a temporary DATA_DIR, with a fast password hasher."""

import atexit
import os
import shutil
import tempfile

_data_dir = tempfile.mkdtemp(prefix="offchat-tests-")
atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)
os.environ["DATA_DIR"] = _data_dir
if os.environ.get("HUEY_URL", "").startswith("redis"):  # else each has tables or a file of its own
    _process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    os.environ["HUEY_URL"] = f"{os.environ['HUEY_URL'].rpartition('/')[0]}/{1 + int(_process)}"

from config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {  # templates may name static files that nothing has collected
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
THROTTLE = False  # those of the tests about it switch it on
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# What is called in the tests' process changes it.
JOBS_NICE, UPLOADS_NICE, JOBS_IO_PRIORITY = 0, 0, "normal"
INSTALLED_APPS = ["tests.flushing", *INSTALLED_APPS]  # noqa: F405

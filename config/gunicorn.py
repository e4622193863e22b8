"""How gunicorn serves the site: threads, so that one slow upload holds one thread only."""

import os
import tempfile

from chat.services.sandbox_state import check_at_start
from config.address import bind_address, configured_address, site_url
from config.env import env_bool, env_int
from config.parent import end_with_supervisor
from config.settings import LOGGING, MEDIA_SANDBOX

bind = bind_address(*configured_address())
worker_class = "gthread"
workers = env_int("WEB_WORKERS", 2, minimum=1)
threads = env_int("WEB_THREADS", 8, minimum=1)
timeout = 60
graceful_timeout = 5  # seconds for requests that are running when the server is told to stop
keepalive = 5
# Heartbeats are file writes: in memory, so that a busy disk never looks like a hung worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()  # noqa: S108
control_socket_disable = True

# One format for everything on the terminal; Django's settings own it.
errorlog = None
accesslog = "-" if env_bool("ACCESS_LOG", False) else None
# Without query and referrer: the address of a video's stream carries a token.
access_log_format = '%(h)s "%(m)s %(U)s %(H)s" %(s)s %(b)s "%(a)s"'
logconfig_dict = LOGGING


def on_starting(_server: object) -> None:
    end_with_supervisor()
    check_at_start(MEDIA_SANDBOX)


def when_ready(server: object) -> None:
    server.log.info("OffChat Nexus is at %s (Ctrl-C stops it)", site_url(*configured_address()))  # type: ignore[attr-defined]

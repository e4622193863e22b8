"""The WSGI application that gunicorn serves."""

import os

import django

from config.requests import Handler
from config.warm_up import warm_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)
application = Handler()
warm_up()

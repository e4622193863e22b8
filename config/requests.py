"""Requests as Django understands them, but for a Content-Type on which it fails."""

import codecs
from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

# What an address and a body may be written in; with any other charset they are read as UTF-8.
CHARSETS = ("ascii", "iso8859-1", "utf-8")


class Request(WSGIRequest):
    """Before any view is asked, Django takes a parameter for one that can be decoded (RFC 2231),
    and a charset for one that it can read the address in: there are "hex" and "idna"."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            parsed = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            meta["CONTENT_TYPE"] = ""  # where the views look too: a type that is not taken
            parsed = ("", {})
        self.content_type, self.content_params = parsed
        try:
            charset = codecs.lookup(self.content_params["charset"]).name
        except (KeyError, LookupError, ValueError):
            return
        if charset in CHARSETS:
            self.encoding = charset


class Handler(WSGIHandler):
    request_class = Request

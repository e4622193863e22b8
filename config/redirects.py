"""An address without its last slash leads to the one with it, whatever the method."""

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware
from django.utils.http import escape_leading_slashes


class SameRequestRedirect(HttpResponsePermanentRedirect):
    """After a 301 most clients ask with GET, whatever they sent: the list instead of a new row."""

    status_code = 308


class SlashMiddleware(CommonMiddleware):
    response_redirect_class = SameRequestRedirect

    def get_full_path_with_slash(self, request: HttpRequest) -> str:
        """Django's fails here in debug mode, since its redirect would lose the body."""
        return escape_leading_slashes(request.get_full_path(force_append_slash=True))

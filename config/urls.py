"""Where each part of the product lives."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from moderation.views.health import alive
from moderation.views.sign_in import LoginView, LogoutView, own_password


class Favicon(RedirectView):
    """Browsers ask for it on pages that name no icon, such as Django's admin."""

    def get_redirect_url(self, *_args: object, **_kwargs: object) -> str:
        return static("favicon.svg")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="moderation:home"), name="home"),
    path("favicon.ico", Favicon.as_view()),
    path("api/chat/", include("chat.urls_video")),
    path("api/auth/", include("chat.urls_auth")),
    path("api/", include("chat.urls_schema")),
    path("moderation/", include("moderation.urls")),
    path("health/", alive, name="alive"),
    # Signing in and out is one thing everywhere: limited, logged, with the second factor.
    path("admin/login/", LoginView.as_view()),
    path("admin/logout/", LogoutView.as_view()),
    path("admin/password_change/", admin.site.admin_view(own_password), name="admin-password"),
    path("admin/", admin.site.urls),
]

# JSON below /api/, pages elsewhere.
handler400 = "chat.api_errors.bad_request"
handler403 = "chat.api_errors.permission_denied"
handler404 = "chat.api_errors.page_not_found"
handler500 = "chat.api_errors.server_error"

"""Paths."""

app_name = "urls_auth"
urlpatterns = []

"""Paths."""

app_name = "urls_video"
urlpatterns = []

"""Paths."""

app_name = "moderation"
urlpatterns = []

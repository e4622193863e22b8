"""What the API is, for programs and for people, below ``/api/``."""

from django.urls import path

from chat import views_schema

app_name = "schema"
urlpatterns = [
    path("schema/", views_schema.SchemaView.as_view(), name="schema"),
    path("docs/", views_schema.docs, name="docs"),
]

"""The API's description: as OpenAPI 3, and as a page to read and try it."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api_views import ApiView
from chat.openapi.auto_schema import ApiSchemaGenerator


class SchemaView(ApiView):
    """JSON, or YAML for who accepts ``application/vnd.oai.openapi``; no secret, so for anyone."""

    authentication_classes = []
    permission_classes = [AllowAny]
    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer]
    schema = None  # not part of what it describes

    def get(self, request: Request) -> Response:
        return Response(api_schema())


@cache
def api_schema() -> dict[str, Any]:
    """The same for everyone, and for as long as the process runs."""
    generator = ApiSchemaGenerator()  # type: ignore[no-untyped-call]
    schema: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "api_docs.html")

"""Joins what drf-spectacular sees in a view with the view's row in the tables."""

from typing import Any

from drf_spectacular.drainage import warn
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.authentication import SessionAuthentication
from rest_framework.pagination import BasePagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView

from chat.openapi.errors import COMPONENTS, error_answers
from chat.openapi.operation import Operation, header
from chat.openapi.tables import OPERATIONS, tag_of

SAFE_METHODS = {"GET", "HEAD"}
UNDESCRIBED = Operation(name="undescribed", summary="", description="", answers={})
RETRY_AFTER = header("Retry-After", [429, 503], "Seconds to wait before the next try.", int)
WWW_AUTHENTICATE = header("WWW-Authenticate", [401], "`Token`: how to sign in.")


class ApiSchema(AutoSchema):
    @property
    def operation(self) -> Operation:
        row = OPERATIONS.get(f"{self.method} {self.path}")
        if row is None:
            warn(f"{self.method} {self.path} has no row in chat.openapi.tables")
        return row or UNDESCRIBED

    def get_operation_id(self) -> str:
        return self.operation.name

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        return self.operation.description

    def get_tags(self) -> list[str]:
        return [tag_of(f"{self.method} {self.path}")]

    def get_request_serializer(self) -> Any:
        return self.operation.request

    def get_response_serializers(self) -> Any:
        self.register_components()
        with_body = self.method != "HEAD"
        return {**self.operation.answers, **error_answers(self.error_codes(), with_body)}

    def get_override_parameters(self) -> list[Any]:
        return [*self.operation.parameters, RETRY_AFTER, WWW_AUTHENTICATE]

    def get_examples(self) -> list[OpenApiExample]:
        return list(self.operation.examples)

    def map_parsers(self) -> list[str]:
        """JSON alone: that forms are read too is said in the introduction, not at each method."""
        return ["application/json"]

    def error_codes(self) -> set[str]:
        """Those of the row, and what any view of this kind can answer."""
        codes = {*self.operation.errors, "not_acceptable", "throttled"}
        if self.is_protected:
            codes |= {"not_authenticated", "authentication_failed"}
        if self.method not in SAFE_METHODS and self.knows_sessions:
            codes.add("permission_denied")  # CSRF
        if "{" in self.path or self.paginator:
            codes.add("not_found")
        if self.operation.request:
            codes |= {"invalid", "parse_error", "too_large", "unsupported_media_type"}
        elif self.paginator or any(
            not isinstance(p, OpenApiParameter) for p in self.operation.parameters
        ):
            codes.add("invalid")
        return codes

    @property
    def is_protected(self) -> bool:
        return any(isinstance(each, IsAuthenticated) for each in self.view.get_permissions())

    @property
    def knows_sessions(self) -> bool:
        return any(isinstance(a, SessionAuthentication) for a in self.view.get_authenticators())

    @property
    def paginator(self) -> BasePagination | None:
        return getattr(self.view, "paginator", None) if self.method == "GET" else None

    def register_components(self) -> None:
        for name, schema in COMPONENTS.items():
            self.registry.register_on_missing(
                ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, object=name)
            )


class DescribedMethods(EndpointEnumerator):
    """Also HEAD, which drf-spectacular leaves out, where a row describes it."""

    def get_api_endpoints(self, patterns: Any = None, prefix: str = "") -> list[Any]:
        endpoints = super().get_api_endpoints(patterns, prefix)  # type: ignore[no-untyped-call]
        views = {path: (regex, callback) for path, regex, _method, callback in endpoints}
        heads = [
            (path, regex, "HEAD", callback)
            for path, (regex, callback) in views.items()
            if f"HEAD {path}" in OPERATIONS
        ]
        return [*endpoints, *heads]


class ApiSchemaGenerator(SchemaGenerator):
    endpoint_inspector_cls = DescribedMethods

    def create_view(self, callback: Any, method: str, request: Any = None) -> APIView:
        # Most views answer HEAD by their `get`.
        by_get = method == "HEAD" and hasattr(callback.cls, "get")
        view: APIView = super().create_view(  # type: ignore[no-untyped-call]
            callback, "GET" if by_get else method, request
        )
        return view


def with_wide_integers(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Ids and sizes in bytes pass 32 bits, which some generated clients take without a format."""
    for component in result["components"]["schemas"].values():
        for described in component.get("properties", {}).values():
            if described.get("type") == "integer":
                described["format"] = "int64"
    return result


def with_empty_texts(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Of ``oneOf`` exactly one may hold: drf-spectacular puts the empty text beside a pattern that
    takes it already, and so forbids it."""
    empty = {"type": "string", "maxLength": 0}
    for component in result["components"]["schemas"].values():
        for described in component.get("properties", {}).values():
            if empty in (alternatives := described.get("oneOf", [])):
                del described["oneOf"]
                (text,) = (schema for schema in alternatives if schema != empty)
                described.update(text)
    return result


class TextSchema(OpenApiSerializerFieldExtension):
    """Says by a pattern what DRF refuses in texts: NUL, and nothing but white space."""

    target_class = "chat.api_views.TextField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> dict[str, Any]:
        field = self.target
        schema: dict[str, Any] = auto_schema._map_serializer_field(
            field, direction, bypass_extensions=True
        )
        if field.allow_blank:
            return {**schema, "pattern": r"^[^\x00]*$"}
        something = r"[^\s\x00]" if field.trim_whitespace else r"[^\x00]"
        return {**schema, "minLength": 1, "pattern": rf"^[^\x00]*{something}[^\x00]*$"}


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "chat.authentication.TokenAuthentication"
    name = "token"
    priority = 1

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token …`, with the token from `POST /api/auth/token/`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "chat.authentication.HeaderCsrfSessionAuthentication"
    name = "session"
    priority = 1

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The session of a page of the same host. Methods that change something "
            "need the header `X-CSRFToken` with the value of the cookie `csrftoken` too.",
        }


class SignedAddressScheme(OpenApiAuthenticationExtension):
    target_class = "chat.authentication.SignedAddressAuthentication"
    name = "signed_address"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "query",
            "name": "token",
            "description": "The query of an attachment's `stream_url`: for you and this one "
            "attachment, for at least 45 minutes. For `<video>` and `<img>`.",
        }

"""Django's own admin for superusers: jobs to look at, not to edit; they are steered elsewhere."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from moderation.models import Failure, Job


class ReadOnly(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ("id", "kind", "scope_words", "status", "total", "created_by", "created_at")
    list_filter = ("kind", "status")
    list_select_related = ("created_by",)


@admin.register(Failure)
class FailureAdmin(ReadOnly):
    list_display = ("id", "job", "attachment", "code", "created_at")
    list_filter = ("code",)
    list_select_related = ("job", "attachment")

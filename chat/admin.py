"""Django's own admin for superusers: accounts and groups are kept there, the chat is only read.

What is in a conversation is changed where the change is written to the activity log; changes of
accounts and groups are entries too.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from knox.models import get_token_model

from chat.models import ActivityLog, Attachment, Conversation, Message, Participant
from chat.services import activity
from chat.services.activity import Actor


class ReadOnly:
    """Mixin for a ModelAdmin or an inline: rows to look at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Logged:
    """Mixin for a ModelAdmin: each change is an entry of the activity log, beside Django's own."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        tell(request, obj, "created")
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        tell(request, obj, "changed", message)
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            tell(request, obj, "deleted")
        return super().log_deletions(request, queryset)  # type: ignore[misc]


def tell(request: HttpRequest, obj: Model, verb: str, message: Any = None) -> None:
    """``message`` is Django's own: [{"changed": {"fields": [...]}}], or a sentence."""
    action = ActivityLog.Action(f"{obj._meta.model_name}_{verb}")
    details = {"what": message} if message else {}
    activity.record(action, Actor.from_request(request), obj, details=details)


admin.site.unregister(User)
admin.site.unregister(Group)
# Tokens come and go with signing in and out.
admin.site.unregister(get_token_model())


@admin.register(User)
class AccountAdmin(Logged, UserAdmin):
    """Nobody locks himself out here either: the own account keeps its rights, and stays."""

    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = obj is not None and obj.pk == request.user.pk
        rights = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
        return (*super().get_readonly_fields(request, obj), *(rights if own else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        own = obj is not None and obj.pk == request.user.pk
        return not own and super().has_delete_permission(request, obj)


@admin.register(Group)
class LoggedGroupAdmin(Logged, GroupAdmin):
    pass


class ParticipantInline(ReadOnly, admin.TabularInline):
    model = Participant
    extra = 0


@admin.register(Conversation)
class ConversationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "title", "created_by", "created_at")
    list_display_links = ("id", "title")
    list_select_related = ("created_by",)
    search_fields = ("title",)
    inlines = (ParticipantInline,)


@admin.register(Message)
class MessageAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "conversation", "sender", "created_at", "deleted_at")
    list_select_related = ("conversation", "sender")
    show_full_result_count = False


@admin.register(Attachment)
class AttachmentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "original_name", "conversation", "uploaded_by", "size", "codec",
                    "processing_state", "visibility", "created_at")  # fmt: skip
    list_display_links = ("id", "original_name")
    list_filter = ("kind", "processing_state", "visibility")
    list_select_related = ("conversation", "uploaded_by")
    search_fields = ("original_name",)
    show_full_result_count = False
    # Links of these would lead to the private storage's address, which serves nothing.
    exclude = ("file", "thumbnail")


@admin.register(ActivityLog)
class ActivityLogAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("created_at", "actor_name", "action", "object_type", "object_label", "outcome",
                    "ip_address")  # fmt: skip
    list_filter = ("action", "outcome")
    show_full_result_count = False

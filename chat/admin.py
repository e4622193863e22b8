"""Django's own admin for superusers: accounts and roles are kept there, the chat is only read.

What is in a conversation is changed where the change is written to the activity log.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from chat.models import ActivityLog, Attachment, Conversation, Message, Participant


class ReadOnly:
    """Mixin for a ModelAdmin or an inline: rows to look at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


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

"""Django's own admin for superusers: jobs to look at, not to edit; they are steered elsewhere."""

from django.contrib import admin
from django_otp.plugins.otp_totp.models import TOTPDevice

from chat.admin import ReadOnly
from moderation.models import Failure, Job

# Its pages show the keys, and would set up and switch off what no entry tells of.
admin.site.unregister(TOTPDevice)


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "kind", "scope_words", "status", "total", "created_by", "created_at")
    list_filter = ("kind", "status")
    list_select_related = ("created_by",)


@admin.register(Failure)
class FailureAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "job", "attachment", "code", "created_at")
    list_filter = ("code",)
    list_select_related = ("job", "attachment")

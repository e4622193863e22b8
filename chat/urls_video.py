"""The chat API, below ``/api/chat/``."""

from django.urls import path, register_converter

from chat import (
    views_chat,
    views_quota,
    views_renditions,
    views_reports,
    views_uploads,
    views_video,
)
from chat.api_views import RowId

register_converter(RowId, "id")

app_name = "chat"
urlpatterns = [
    path("videos/", views_video.VideoListView.as_view(), name="videos"),
    path("videos/upload/", views_video.VideoUploadView.as_view(), name="video-upload"),
    path(
        "videos/<id:attachment_id>/download/",
        views_video.VideoDownloadView.as_view(),
        name="download",
    ),
    path(
        "videos/<id:attachment_id>/stream/", views_video.VideoStreamView.as_view(), name="stream"
    ),
    path("upload/", views_video.AttachmentUploadView.as_view(), name="upload"),
    path("quota/", views_quota.QuotaView.as_view(), name="quota"),
    path("uploads/", views_uploads.ResumableUploadsView.as_view(), name="resumable-uploads"),
    path(
        "uploads/<uuid:upload_id>/",
        views_uploads.ResumableUploadView.as_view(),
        name="resumable-upload",
    ),
    path(
        "attachments/<id:attachment_id>/", views_video.AttachmentView.as_view(), name="attachment"
    ),
    path(
        "attachments/<id:attachment_id>/thumbnail/",
        views_video.ThumbnailView.as_view(),
        name="thumbnail",
    ),
    path(
        "attachments/<id:attachment_id>/storyboard/",
        views_renditions.StoryboardView.as_view(),
        name="storyboard",
    ),
    path(
        "attachments/<id:attachment_id>/storyboard.vtt",
        views_renditions.StoryboardMapView.as_view(),
        name="storyboard-map",
    ),
    path(
        "attachments/<id:attachment_id>/preview/",
        views_renditions.PreviewView.as_view(),
        name="preview",
    ),
    path(
        "attachments/<id:attachment_id>/report/", views_reports.ReportView.as_view(), name="report"
    ),
    path("conversations/", views_chat.ConversationListView.as_view(), name="conversations"),
    path(
        "conversations/<id:conversation_id>/",
        views_chat.ConversationView.as_view(),
        name="conversation",
    ),
    path(
        "conversations/<id:conversation_id>/read/",
        views_chat.ConversationReadView.as_view(),
        name="conversation-read",
    ),
    path(
        "conversations/<id:conversation_id>/participants/",
        views_chat.ParticipantListView.as_view(),
        name="participants",
    ),
    path(
        "conversations/<id:conversation_id>/participants/<id:user_id>/",
        views_chat.ParticipantView.as_view(),
        name="participant",
    ),
    path(
        "conversations/<id:conversation_id>/messages/",
        views_chat.MessageListView.as_view(),
        name="messages",
    ),
    path("messages/<id:message_id>/", views_chat.MessageView.as_view(), name="message"),
]

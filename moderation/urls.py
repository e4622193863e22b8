"""The dashboard's paths, under ``/moderation/``."""

from django.urls import path

from moderation.views import (
    activity,
    activity_exports,
    health,
    job_exports,
    job_start,
    job_steering,
    jobs,
    palette,
    sign_in,
    videos,
)

app_name = "moderation"
urlpatterns = [
    path("sign-in/", sign_in.LoginView.as_view(), name="login"),
    path("sign-out/", sign_in.LogoutView.as_view(), name="logout"),
    path("", videos.videos, name="home"),
    path("palette/", palette.palette, name="palette"),
    path("videos/", videos.videos, name="videos"),
    path("videos/<int:attachment_id>/", videos.video, name="video"),
    path("videos/<int:attachment_id>/stream/", videos.video_stream, name="video-stream"),
    path("videos/<int:attachment_id>/preview/", videos.video_preview, name="video-preview"),
    path("videos/<int:attachment_id>/thumbnail/", videos.video_thumbnail, name="video-thumbnail"),
    path("health/", health.health, name="health"),
    path("health/self-test/", health.health_self_test, name="health-self-test"),
    path("activity/", activity.activity, name="activity"),
    path("activity/tail/", activity.activity_tail, name="activity-tail"),
    path("activity/export.csv", activity_exports.activity_csv, name="activity-csv"),
    path("activity/export.jsonl", activity_exports.activity_jsonl, name="activity-jsonl"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/new/", job_start.job_new, name="job-new"),
    path("jobs/new/estimate/", job_start.job_estimate, name="job-estimate"),
    path("jobs/start/", job_start.job_start, name="job-start"),
    path("jobs/running/", jobs.running, name="running"),
    path("jobs/<int:job_id>/", jobs.job, name="job"),
    path("jobs/<int:job_id>/progress/", jobs.job_progress, name="job-progress"),
    path("jobs/<int:job_id>/pause/", job_steering.job_pause, name="job-pause"),
    path("jobs/<int:job_id>/resume/", job_steering.job_resume, name="job-resume"),
    path("jobs/<int:job_id>/cancel/", job_steering.job_cancel, name="job-cancel"),
    path("jobs/<int:job_id>/pace/", job_steering.job_pace, name="job-pace"),
    path("jobs/<int:job_id>/retry/", job_steering.job_retry, name="job-retry"),
    path("jobs/<int:job_id>/handled/", job_steering.job_handled, name="job-handled"),
    path("jobs/<int:job_id>/failures.csv", job_exports.failures_csv, name="job-failures"),
    path("jobs/<int:job_id>/outcomes.csv", job_exports.outcomes_csv, name="job-outcomes"),
]

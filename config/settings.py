"""All settings, read from the environment.  ``docs/VIDEO_SETUP_GUIDE.md`` lists every variable.

The defaults start one machine with one command: SQLite, Huey on SQLite, files on local disk,
all of it below ``DATA_DIR``.
"""

import contextlib
import os
import secrets
import tempfile
from datetime import timedelta
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.connections import env_cache, env_database, env_queue
from config.env import (
    env_bool,
    env_choice,
    env_float,
    env_floats,
    env_int,
    env_list,
    env_networks,
    env_path,
    env_str,
    env_subset,
)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env_path("DATA_DIR", BASE_DIR / "data")
try:
    DATA_DIR.mkdir(mode=0o750, parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(
        f"DATA_DIR={str(DATA_DIR)!r} cannot be made: {error.strerror}."
    ) from None


def stored_secret_key(path: Path) -> str:
    """The secret key kept in DATA_DIR, made on first use; readable by its owner only."""
    if not path.exists():
        # Written beside and linked into place: of two processes starting at once, one wins whole.
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:  # mode 0600
            draft.write(secrets.token_urlsafe(48))
            draft.flush()
            with contextlib.suppress(FileExistsError):
                os.link(draft.name, path)
    key = path.read_text().strip()
    if len(key) < 40:
        raise ImproperlyConfigured(f"{path} holds no usable key: delete it, or set SECRET_KEY.")
    return key


# --- Security -----------------------------------------------------------------------------------
DEBUG = env_bool("DEBUG", False)
SECRET_KEY = env_str("SECRET_KEY") or stored_secret_key(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

# HTTPS=1 when the site is reached over TLS: secure cookies, redirect, HSTS.
HTTPS = env_bool("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = env_int("HSTS_SECONDS", 365 * 24 * 3600) if HTTPS else 0
SECURE_REDIRECT_EXEMPT = [r"^health/$"]  # load balancers ask over plain HTTP
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
BEHIND_PROXY = env_bool("BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
# Whose word about the client's address counts; see chat.services.client_address.
TRUSTED_PROXIES = env_networks("TRUSTED_PROXIES", ["127.0.0.1", "::1"])
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_ENGINE = "config.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# Everything from our own origin, nothing inline (style attributes included), no plug-ins.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "media-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- Applications -------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "knox",
    "axes",
    "corsheaders",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_htmx",
    "django_tables2",
    "django_filters",
    "template_partials",
    "chat",
    "moderation",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.redirects.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "moderation.middleware.SecondFactorMiddleware",
    "axes.middleware.AxesMiddleware",
]

# Pages of these origins may use the API, with a token; cookies stay with our own pages.
CORS_ALLOWED_ORIGINS = env_list("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
CORS_PREFLIGHT_MAX_AGE = 3600
CORS_ALLOW_HEADERS = [
    "accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match",
    "if-range", "range", "tus-resumable", "upload-checksum", "upload-defer-length",
    "upload-length", "upload-metadata", "upload-offset", "x-csrftoken", "x-http-method-override",
    "x-requested-with",
]  # fmt: skip
CORS_EXPOSE_HEADERS = [
    "Accept-Ranges", "Attachment-Id", "Content-Disposition", "Content-Length",
    "Content-Location", "Content-Range", "ETag",
    "Idempotency-Key", "Last-Modified", "Location", "Retry-After", "Tus-Checksum-Algorithm",
    "Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version", "Upload-Expires",
    "Upload-Length", "Upload-Metadata", "Upload-Offset",
]  # fmt: skip
if CORS_ALLOWED_ORIGINS:
    MIDDLEWARE.insert(0, "corsheaders.middleware.CorsMiddleware")

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

LOGIN_URL = "moderation:login"
LOGIN_REDIRECT_URL = "moderation:home"
LOGOUT_REDIRECT_URL = "moderation:login"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "moderation.permission_backend.PermissionsAtOnce",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Failed sign-ins are counted by account and address together: a guesser locks out nobody but
# himself, and not the others behind his address either.
# Of whom a second factor is required; anybody may set one up.
REQUIRE_2FA = env_choice("REQUIRE_2FA", "none", ["none", "admins", "staff"])
OTP_TOTP_ISSUER = "OffChat Nexus"  # what an authenticator shows
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = env_int("SIGN_IN_FAILURES", 8, minimum=1)
AXES_COOLOFF_TIME = timedelta(minutes=env_int("SIGN_IN_LOCK_MINUTES", 15, minimum=1))
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # Retry-After stays true
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "chat.services.client_address.network_of_client"
AXES_LOCKOUT_CALLABLE = "chat.sign_in.locked_out"
AXES_DISABLE_ACCESS_LOG = True  # the activity log has it
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- Database -----------------------------------------------------------------------------------
DATABASES = {"default": env_database("DATABASE_URL", DATA_DIR / "db.sqlite3")}

# Shared by all processes; with several machines, Redis.
CACHES = {"default": env_cache("CACHE_URL", DATA_DIR / "cache")}

# --- Background work ----------------------------------------------------------------------------
# The database is the record; Huey carries wake-ups only (see moderation.queues).
HUEY = {
    **env_queue("HUEY_URL", DATA_DIR / "huey.sqlite3"),
    "results": False,
    "store_none": False,
    "utc": True,
    "immediate": False,
}
QUEUE_WORKERS = {
    "jobs": env_int("WORKERS", 2, minimum=1),
    "uploads": env_int("UPLOAD_WORKERS", 2, minimum=1),
}
# Of several machines, one does the periodic work.
PERIODIC = env_bool("PERIODIC", True)
# What is read and transcoded after uploads gives way to requests, for jobs to everything else on
# the machine: added to the nice values; the place of jobs at the disk.
UPLOADS_NICE = env_int("UPLOADS_NICE", 5)
JOBS_NICE = env_int("JOBS_NICE", 10)
JOBS_IO_PRIORITY = env_choice("JOBS_IO_PRIORITY", "low", ["normal", "low", "idle"])

# A worker holds what it works on for so long, then another may take over; longer than one file
# may take (MEDIA_WALL_SECONDS).
JOB_LEASE_SECONDS = env_int("JOB_LEASE_SECONDS", 60, minimum=1)
# Outcomes that may pass are tried again after so many seconds; after the last, the item is dead.
JOB_RETRY_SECONDS = env_floats("JOB_RETRY_SECONDS", [30, 120, 600], minimum=0.1)
# Afterwards only the numbers of a job are kept, and what it did in the activity log.
JOB_KEEP_DAYS = env_int("JOB_KEEP_DAYS", 90, minimum=1)
VERIFY_AGAIN_DAYS = env_int("VERIFY_AGAIN_DAYS", 90, minimum=1)

# --- Decisions ----------------------------------------------------------------------------------
DECISION_UNDO_MINUTES = env_int("DECISION_UNDO_MINUTES", 15, minimum=1)
# The bytes of a removed video are deleted afterwards, unless they are under hold.
REMOVED_RETENTION_DAYS = env_int("REMOVED_RETENTION_DAYS", 30)

# --- People who look at videos (see moderation.protection) --------------------------------------
# Who has not chosen for himself has these: blur, greyscale, mute, small; "none" for nothing.
REVIEWER_PROTECTION = env_subset(
    "REVIEWER_PROTECTION", ["blur", "greyscale", "mute"], ["blur", "greyscale", "mute", "small"]
)
# A break is suggested after so many pictures revealed within an hour; 0 is never.
BREAK_AFTER_REVEALS = env_int("BREAK_AFTER_REVEALS", 40)

# --- Time and language --------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- Files --------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_MAX_AGE = 3600
# Private: never served by the web server directly; only through views that check access.
MEDIA_ROOT = env_path("MEDIA_ROOT", DATA_DIR / "media")
# nginx sends stored files: the path of its internal location, see docs/deploy/nginx-site.conf.
ACCEL_REDIRECT_PREFIX = env_str("ACCEL_REDIRECT_PREFIX")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static_storage.StaticStorage"},
}
FILE_UPLOAD_PERMISSIONS = 0o640
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o750
# Uploads are streamed here, on the same disk as the media, so that keeping one is a rename.
FILE_UPLOAD_TEMP_DIR = env_path("UPLOAD_TEMP_DIR", DATA_DIR / "incoming")
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576  # of a body without files, bytes

# --- API ----------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "chat.authentication.TokenAuthentication",
        "chat.authentication.HeaderCsrfSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "chat.api_errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "chat.openapi.auto_schema.ApiSchema",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OffChat Nexus",
    "VERSION": "1",
    "DESCRIPTION": "Video attachments for a chat. Bodies are JSON objects; where files come along "
    "they are forms (multipart/form-data), and plain fields may come as "
    "application/x-www-form-urlencoded too. What you may not see does not exist: 404.",
    "LICENSE": {"name": "MIT"},
    "DEFAULT_GENERATOR_CLASS": "chat.openapi.auto_schema.ApiSchemaGenerator",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/",
    # The bodies of PATCH here name what they change: nothing in them is left out.
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "PATH_CONVERTER_OVERRIDES": {"id": {"type": "integer", "format": "int64", "minimum": 1}},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "chat.openapi.auto_schema.with_wide_integers",
        "chat.openapi.auto_schema.with_empty_texts",
    ],
    "ENUM_NAME_OVERRIDES": {
        "AttachmentKind": "chat.models.Attachment.Kind",
        "ProcessingState": "chat.models.Attachment.ProcessingState",
        "Visibility": "chat.models.Attachment.Visibility",
        "ParticipantRole": "chat.models.Participant.Role",
    },
}
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Token",
    "TOKEN_TTL": timedelta(hours=env_int("TOKEN_HOURS", 24 * 14, minimum=1)),
}
TOKENS_PER_USER = env_int("TOKENS_PER_USER", 20, minimum=1)

# Requests a minute of one person (who has not signed in: of one address); see chat.throttling.
THROTTLE = env_bool("THROTTLE", True)
REQUESTS_PER_MINUTE = {
    "read": env_int("READS_PER_MINUTE", 600, minimum=1),
    "write": env_int("WRITES_PER_MINUTE", 240, minimum=1),
    "upload": env_int("UPLOADS_PER_MINUTE", 60, minimum=1),
    "transfer": env_int("TRANSFERS_PER_MINUTE", 3000, minimum=1),  # thumbnails, ranges, parts
    "sign_in": env_int("SIGN_INS_PER_MINUTE", 20, minimum=1),
    # All requests of one address, whoever signed them.
    "address": env_int("ADDRESS_REQUESTS_PER_MINUTE", 12_000, minimum=1),
}

# --- Video limits, each with its unit -----------------------------------------------------------
UPLOAD_MAX_BYTES = env_int("UPLOAD_MAX_BYTES", 2 * 1024**3, minimum=1)  # files of one request
# Of one person: stored files; uploads on their way at once, and the bytes they will have.
USER_QUOTA_BYTES = env_int("USER_QUOTA_BYTES", 100 * 1024**3, minimum=1)
UPLOAD_PENDING_MAX_COUNT = env_int("UPLOAD_PENDING_MAX_COUNT", 100, minimum=1)
UPLOAD_PENDING_MAX_BYTES = env_int("UPLOAD_PENDING_MAX_BYTES", 20 * 1024**3, minimum=1)
# A body that stands still for so long is taken for cut off.
UPLOAD_STALL_SECONDS = env_float("UPLOAD_STALL_SECONDS", 20.0, minimum=0.1)
# A resumable upload is kept for so long after its last byte came.
RESUMABLE_UPLOAD_HOURS = env_int("RESUMABLE_UPLOAD_HOURS", 24, minimum=1)
# And for so long when its client never came back to it: the answer with its address may be lost.
RESUMABLE_UPLOAD_UNCLAIMED_MINUTES = env_int("RESUMABLE_UPLOAD_UNCLAIMED_MINUTES", 60, minimum=1)
IDEMPOTENCY_KEY_HOURS = env_int("IDEMPOTENCY_KEY_HOURS", 24, minimum=1)
MESSAGE_MAX_FILES = env_int("MESSAGE_MAX_FILES", 10, minimum=1)
VIDEO_MAX_DURATION_SECONDS = env_int("VIDEO_MAX_DURATION_SECONDS", 6 * 3600, minimum=1)
VIDEO_MAX_PIXELS = env_int("VIDEO_MAX_PIXELS", 36_000_000, minimum=1)
IMAGE_MAX_PIXELS = env_int("IMAGE_MAX_PIXELS", 50_000_000, minimum=1)
VIDEO_MAX_STREAMS = env_int("VIDEO_MAX_STREAMS", 16, minimum=1)
# One file: wall clock of everything done to it, then limits of each process.
MEDIA_WALL_SECONDS = env_float("MEDIA_WALL_SECONDS", 8.0, minimum=0.1)
MEDIA_CPU_SECONDS = env_int("MEDIA_CPU_SECONDS", 10, minimum=1)
MEDIA_MEMORY_BYTES = env_int("MEDIA_MEMORY_BYTES", 1024**3, minimum=64 * 1024**2)
MEDIA_OUTPUT_BYTES = env_int("MEDIA_OUTPUT_BYTES", 8 * 1024**2, minimum=64 * 1024)
POSTER_MAX_WIDTH_PIXELS = env_int("POSTER_MAX_WIDTH_PIXELS", 640, minimum=16)
POSTER_MAX_HEIGHT_PIXELS = env_int("POSTER_MAX_HEIGHT_PIXELS", 640, minimum=16)
# Storyboards and previews are made in the background, within limits of their own.
STORYBOARD_WALL_SECONDS = env_float("STORYBOARD_WALL_SECONDS", 20.0, minimum=0.1)
STORYBOARD_CPU_SECONDS = env_int("STORYBOARD_CPU_SECONDS", 30, minimum=1)
STORYBOARD_MEMORY_BYTES = env_int("STORYBOARD_MEMORY_BYTES", 1024**3, minimum=64 * 1024**2)
STORYBOARD_OUTPUT_BYTES = env_int("STORYBOARD_OUTPUT_BYTES", 8 * 1024**2, minimum=64 * 1024)
PREVIEW_WALL_SECONDS = env_float("PREVIEW_WALL_SECONDS", 300.0, minimum=0.1)
PREVIEW_CPU_SECONDS = env_int("PREVIEW_CPU_SECONDS", 600, minimum=1)
PREVIEW_MEMORY_BYTES = env_int("PREVIEW_MEMORY_BYTES", 2 * 1024**3, minimum=64 * 1024**2)
PREVIEW_OUTPUT_BYTES = env_int("PREVIEW_OUTPUT_BYTES", 512 * 1024**2, minimum=64 * 1024)
PREVIEW_MAX_SECONDS = env_int("PREVIEW_MAX_SECONDS", 1800, minimum=1)  # of the video
# A video that browsers play gets a preview from these on; the pixels are of its shorter side.
PREVIEW_HEAVY_KBPS = env_int("PREVIEW_HEAVY_KBPS", 12_000, minimum=1)
PREVIEW_HEAVY_BYTES = env_int("PREVIEW_HEAVY_BYTES", 500_000_000, minimum=1)
PREVIEW_HEAVY_PIXELS = env_int("PREVIEW_HEAVY_PIXELS", 1440, minimum=1)
# libav reads with PyAV in the sandboxed child; ffmpeg runs ffprobe and ffmpeg in it.
MEDIA_ENGINE = env_choice("MEDIA_ENGINE", "libav", ["libav", "ffmpeg"])
# Sandbox of the media children: require every layer, warn about missing ones, or switch it off.
MEDIA_SANDBOX = env_choice("MEDIA_SANDBOX", "best-effort", ["require", "best-effort", "off"])
MEDIA_CHILDREN = env_int("MEDIA_CHILDREN", 3, minimum=1)  # at once, of one worker
# Perceptual fingerprints: one picture a second, fewer of a longer video; one file's time stays
# below JOB_LEASE_SECONDS.
FINGERPRINT_MAX_FRAMES = env_int("FINGERPRINT_MAX_FRAMES", 300, minimum=1)
FINGERPRINT_WALL_SECONDS = env_float("FINGERPRINT_WALL_SECONDS", 40.0, minimum=1)
FFMPEG_BINARY = env_str("FFMPEG_BINARY", "ffmpeg")
FFPROBE_BINARY = env_str("FFPROBE_BINARY", "ffprobe")

# --- Logging ------------------------------------------------------------------------------------
LOG_LEVEL = env_choice("LOG_LEVEL", "info", ["debug", "info", "warning", "error"]).upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"},
    },
    "filters": {"without_tokens": {"()": "config.redaction.WithoutTokens"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["without_tokens"],
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": LOG_LEVEL},
        "gunicorn.error": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False},
        # Huey itself tells of every task; what a job did is in the log of its own.
        "huey": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "huey.consumer": {"level": LOG_LEVEL},
        "huey.consumer.Scheduler": {"level": "WARNING"},
    },
}

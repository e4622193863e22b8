"""Sessions in the database, asked for only by keys that can have been given."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's looks for whatever a cookie holds, and PostgreSQL fails over a null in it."""

    def _validate_session_key(self, key: str) -> bool:
        valid = super()._validate_session_key(key)  # type: ignore[misc]  # the stubs lack it
        return bool(valid) and key.isalnum()

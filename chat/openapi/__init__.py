"""What the API is, as OpenAPI 3: served at ``/api/schema/``, shown at ``/api/docs/``.

The views carry no annotations.  What drf-spectacular can see (who may ask, ids in paths, pages of
lists) is derived in ``auto_schema``; the rest of each operation is one row of a table here, and a
path without a row is a warning, which a test turns into a failure.
"""

"""Static files under names that change with what is in them."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """What one of our JavaScript modules imports from another is named like that too: a browser
    would run a module twice that has two names."""

    support_js_module_import_aggregation = True

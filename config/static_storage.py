"""Static files under names that change with what is in them."""

from collections.abc import Callable
from re import Match

from whitenoise.storage import CompressedManifestStaticFilesStorage

OUR_MODULES = "js/"


class StaticStorage(CompressedManifestStaticFilesStorage):
    """What one of our JavaScript modules imports from another is named like that too: a browser
    would run a module twice that has two names.  Other people's scripts stay as they are."""

    support_js_module_import_aggregation = True

    def url_converter(
        self, name: str, hashed_files: dict[str, str], template: str | None = None
    ) -> Callable[[Match[str]], str]:
        if name.endswith((".js", ".mjs")) and not name.startswith(OUR_MODULES):
            return lambda match: match[0]
        converter: Callable[[Match[str]], str] = super().url_converter(
            name, hashed_files, template
        )
        return converter

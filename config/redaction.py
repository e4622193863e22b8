"""What the log must not keep: the tokens in addresses, with which anybody could watch a video."""

import logging
import re

TOKEN = re.compile(r"(token=)[^&\s\"'<>]+")


class WithoutTokens(logging.Filter):
    """Shortens them in every line, whoever writes it: gunicorn logs addresses with its errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if "token=" in line:
            record.msg, record.args = TOKEN.sub(r"\1…", line), None
        return True

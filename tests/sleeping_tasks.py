"""Has a media helper of the tests sleep over every video, whatever the speed of the machine."""

import time
from typing import Any


def examine_task(_parameters: dict[str, Any]) -> None:
    time.sleep(3600)


TASKS = {"libav.examine": examine_task}

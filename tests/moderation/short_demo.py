"""The demo with the same clips, most of them a second long, since encoding takes the time.

``SEED`` is run inside an installation, in the place of `manage.py seed_demo`.
"""

SEED = """
from dataclasses import replace
from django.core.management import call_command
from moderation import demo_clips
demo_clips.RECIPES = tuple(
    recipe if recipe.source == demo_clips.BLACK_FIRST else replace(recipe, seconds=1)
    for recipe in demo_clips.RECIPES
)
call_command("seed_demo")
"""

"""The dashboard's roles as groups: viewer, moderator, operator, admin."""

from typing import Any

from django.db import migrations

ROLES = {
    "viewer": ["view_dashboard"],
    "moderator": ["view_dashboard", "decide"],
    "operator": ["view_dashboard", "run_jobs"],
    "admin": ["view_dashboard", "decide", "run_jobs", "manage_roles"],
}
NAMES = {
    "view_dashboard": "Can see the dashboard",
    "decide": "Can decide on videos",
    "run_jobs": "Can start and steer jobs",
    "manage_roles": "Can give and take roles",
}


def create_roles(apps: Any, schema_editor: Any) -> None:
    """Groups with their permissions, which Django itself creates only after all migrations."""
    content_types = apps.get_model("contenttypes", "ContentType").objects
    permissions = apps.get_model("auth", "Permission").objects
    groups = apps.get_model("auth", "Group").objects
    job, _ = content_types.get_or_create(app_label="moderation", model="job")
    rights = {
        codename: permissions.get_or_create(
            content_type=job, codename=codename, defaults={"name": name}
        )[0]
        for codename, name in NAMES.items()
    }
    for role, codenames in ROLES.items():
        group, _ = groups.get_or_create(name=role)
        group.permissions.add(*(rights[codename] for codename in codenames))


class Migration(migrations.Migration):
    dependencies = [
        ("moderation", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]

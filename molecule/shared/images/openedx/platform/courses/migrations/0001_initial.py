from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

ID = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
# As edx-platform's courseware_studentmodule would be with a natural key.
# Django 4.2 has no model for a key of two columns.
MODULE_STATE = """
    CREATE TABLE courses_modulestate (
        learner bigint unsigned NOT NULL,
        module varchar(255) NOT NULL,
        state json NOT NULL,
        grade double NULL,
        comment longtext NULL,
        modified datetime(6) NOT NULL,
        PRIMARY KEY (learner, module),
        KEY courses_modulestate_modified (modified)
    )
"""


class Migration(migrations.Migration):
    """The tables that `seed` fills."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            "Course",
            [
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("display_name", models.TextField()),
                ("start", models.DateTimeField(null=True)),
                ("price", models.DecimalField(decimal_places=2, max_digits=10, null=True)),
                ("details", models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            "Enrollment",
            [
                ID,
                ("learner", models.PositiveBigIntegerField()),
                ("course", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="courses.course")),
                ("mode", models.CharField(max_length=100, null=True)),
                ("is_active", models.BooleanField()),
                ("created", models.DateTimeField(db_index=True)),
            ],
            options={"unique_together": {("learner", "course")}},
        ),
        migrations.CreateModel(
            "Upload",
            [
                ID,
                ("digest", models.CharField(max_length=64)),
                ("content", models.BinaryField()),
            ],
        ),
        migrations.RunSQL(MODULE_STATE, "DROP TABLE courses_modulestate"),
    )

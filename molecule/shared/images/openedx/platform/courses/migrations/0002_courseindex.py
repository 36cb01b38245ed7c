from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The index of published courses."""

    dependencies = (("courses", "0001_initial"),)
    operations = (
        migrations.CreateModel(
            "CourseIndex",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("course_id", models.CharField(db_index=True, max_length=255)),
                ("published_version", models.CharField(max_length=24)),
                ("last_update", models.DateTimeField()),
            ],
        ),
    )

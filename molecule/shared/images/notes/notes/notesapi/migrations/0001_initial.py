from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The table of notes."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            "Note",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(db_index=True, max_length=191)),
                ("text", models.TextField()),
                ("created", models.DateTimeField(auto_now_add=True)),
            ],
        ),
    )

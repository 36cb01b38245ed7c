from __future__ import annotations

from django.db import migrations, models

FIELDS = [
    ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
    ("key", models.CharField(db_index=True, max_length=191)),
    ("created", models.DateTimeField(auto_now_add=True)),
]


class Migration(migrations.Migration):
    """The two tables of the ledger."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel("Entry", [*FIELDS, ("text", models.TextField(default="written 📝"))]),
        migrations.CreateModel("TaskEntry", FIELDS),
    )

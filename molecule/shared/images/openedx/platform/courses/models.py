"""Some tables with the kinds of columns that a platform's database has."""

from __future__ import annotations

from django.db import models


class Course(models.Model):
    """Keyed by a string, with emoji in its name."""

    id = models.CharField(primary_key=True, max_length=255)
    display_name = models.TextField()
    start = models.DateTimeField(null=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    details = models.JSONField()


class Enrollment(models.Model):
    """A learner in a course."""

    learner = models.PositiveBigIntegerField()
    course = models.ForeignKey(Course, on_delete=models.CASCADE)
    mode = models.CharField(max_length=100, null=True)
    is_active = models.BooleanField()
    created = models.DateTimeField(db_index=True)

    class Meta:
        unique_together = (("learner", "course"),)


class Upload(models.Model):
    """A blob, where the megabytes are."""

    digest = models.CharField(max_length=64)
    content = models.BinaryField()


class CourseIndex(models.Model):
    """As SplitModulestoreCourseIndex: which structure in MongoDB is published. Nothing makes a course unique here."""

    course_id = models.CharField(max_length=255, db_index=True)
    published_version = models.CharField(max_length=24)
    last_update = models.DateTimeField()

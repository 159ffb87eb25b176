"""Nodes are drained."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hardware', '0009_tiers'),
    ]

    operations = [
        migrations.AddField(
            model_name='node',
            name='drain',
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name='node',
            name='draining_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]

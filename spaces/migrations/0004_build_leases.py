from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spaces", "0003_egress")]

    operations = [
        migrations.AddField(
            model_name="build",
            name="leased_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        # Old code goes on writing rows beside the new for some minutes.
        migrations.AddField(
            model_name="build",
            name="attempts",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="build",
            name="restores",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]

"""A node may prepare the start of a replica's next version while that is built."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hardware", "0007_capacity")]

    operations = [
        migrations.AddField(
            model_name="replica",
            name="next_image",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
    ]

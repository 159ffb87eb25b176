from django.db import migrations, models

import spaces.models


class Migration(migrations.Migration):

    dependencies = [
        ("spaces", "0002_build_worker"),
    ]

    operations = [
        migrations.AddField(
            model_name="space",
            name="egress",
            field=models.CharField(blank=True, max_length=1000, validators=[spaces.models.is_egress]),
        ),
    ]

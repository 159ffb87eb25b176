import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('spaces', '0010_signing_in'),
    ]

    operations = [
        migrations.RenameField(model_name='largefile', old_name='created_at', new_name='held_at'),
        migrations.AlterField(
            model_name='largefile',
            name='held_at',
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
    ]

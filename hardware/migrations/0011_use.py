"""Hours on hardware are counted by the month."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_signing_in'),
        ('hardware', '0010_draining'),
    ]

    operations = [
        migrations.AddField(
            model_name='replica',
            name='counted_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='HardwareUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('space_id', models.BigIntegerField()),
                ('space_name', models.CharField(max_length=200)),
                ('tier', models.CharField(max_length=16)),
                ('month', models.DateField()),
                ('seconds', models.FloatField(default=0)),
                ('cost', models.DecimalField(decimal_places=6, default=0, max_digits=16)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.owner')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('owner', 'space_id', 'tier', 'month'), name='hardware_use_unique')],
            },
        ),
    ]

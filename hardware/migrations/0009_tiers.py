"""Tiers are rows, which `hardware.tiers.rows.fill` makes; a replica keeps what its tier promised it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_signing_in'),
        ('hardware', '0008_next_image'),
    ]

    operations = [
        migrations.AddField(
            model_name='replica',
            name='limits',
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name='replica',
            name='price_per_hour',
            field=models.DecimalField(db_default=0, decimal_places=4, default=0, max_digits=10),
        ),
        migrations.CreateModel(
            name='HardwareTier',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=16, unique=True)),
                ('title', models.CharField(max_length=60)),
                ('cpus', models.FloatField()),
                ('memory_bytes', models.PositiveBigIntegerField()),
                ('pids', models.PositiveIntegerField()),
                ('gpu', models.CharField(blank=True, max_length=40)),
                ('gpu_memory_bytes', models.PositiveBigIntegerField(default=0)),
                ('aliases', models.JSONField(blank=True, default=list)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('price_per_hour', models.DecimalField(decimal_places=4, default=0, max_digits=10)),
                ('is_closed', models.BooleanField(default=False)),
                ('most_per_owner', models.PositiveIntegerField(blank=True, null=True)),
                ('is_restricted', models.BooleanField(default=False)),
                ('owners', models.ManyToManyField(blank=True, related_name='+', to='accounts.owner')),
            ],
        ),
    ]

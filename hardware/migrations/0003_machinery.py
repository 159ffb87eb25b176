from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hardware", "0002_initial")]

    operations = [
        # Old code goes on writing rows beside the new for some minutes.
        migrations.AddField(
            model_name="node",
            name="leaving",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="replica",
            name="cause",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
        migrations.CreateModel(
            name="Deleted",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("space_id", models.BigIntegerField()),
                ("cleared_by", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
    ]

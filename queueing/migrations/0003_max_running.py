"""A chosen `concurrency_count` was a Space's, whatever functions it has; now it is each group's. Where there are
several functions, what was chosen goes on as the total of all, `max_running`."""

from django.db import migrations


def keep_the_total(apps, schema_editor):
    settings = apps.get_model("queueing", "QueueSettings")
    replica = apps.get_model("hardware", "Replica")
    for row in settings.objects.all().iterator():
        chosen = row.chosen.get("concurrency_count")
        if not isinstance(chosen, int) or "max_running" in row.chosen:
            continue
        newest = replica.objects.filter(space_id=row.space_id).order_by("-pk").first()
        functions = (newest.report or {}).get("functions") if newest else None
        queued = [f for f in functions or () if isinstance(f, dict) and f.get("queue", True)]
        if len(queued) > 1:
            row.chosen = {**row.chosen, "max_running": chosen}
            row.save(update_fields=["chosen"])


class Migration(migrations.Migration):
    dependencies = [("queueing", "0002_minutes"), ("hardware", "0002_initial")]

    operations = [migrations.RunPython(keep_the_total, migrations.RunPython.noop)]

"""The queues: events of visitors wait for a Space, run in its replica, and report back.

- `protocols`, `delivery`: the visitors' side, in web processes;
- `dispatch`: the replicas' side, in the Celery worker of a node;
- `store`, `wakeup`, `routes`, `queue_settings`: Redis, used by both;
- `stats`: figures, for pages, metrics and advice;
- `tuning`, `measuring`: which settings would do better, by what was counted, and by calls made to measure.

The modules beside these folders are values and pure decisions (events, messages, errors, groups, turns,
ETAs), and Django's: `models`, `admin`, `tasks`."""

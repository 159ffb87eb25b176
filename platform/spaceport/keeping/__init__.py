"""`manage.py backup` and `manage.py restore`: a whole installation as a folder of plain files, and back.

`backup` runs in a process of its own beside the platform. `restore` does without Django's database until the
servers have their data, and leaves the rest to `spaceport.keeping.settle`, in a new process."""

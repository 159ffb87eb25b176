"""`python …/spaceport_launcher/__main__.py app.py`: stage the code in a writable folder, patch, run.

Run as a file, this is the only frame below the app's, and it shares the app's namespace: the real `__main__`.
So it leaves no name there.
"""

import sys

sys.path.insert(0, __file__.rpartition("/spaceport_launcher/")[0])
from spaceport_launcher import script

if sys.argv[1:2] == ["--standby"]:
    from spaceport_launcher import standby

    standby.serve()
elif sys.argv[1:2] == ["--await"]:
    from spaceport_launcher.standby import waiting

    waiting.wait()
del sys.path[0]

with script.Run(globals()):
    # Running the Space's own code is the purpose.
    exec(compile(__loader__.get_data(__file__), __file__, "exec", dont_inherit=True))  # type: ignore[name-defined]  # noqa: S102

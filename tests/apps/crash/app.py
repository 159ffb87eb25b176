import os

print("about to crash", flush=True)
raise SystemExit(int(os.environ.get("EXIT_CODE", "3")))

"""The experiments as Prefect flows."""

import os

# What a private server started from here (none is configured) is told. It otherwise writes every task's state by itself
# into SQLite, in the way of the next task's question after the limits of its tags, which then waits two seconds to ask
# again: a third of a short run. In groups, once a second, the two do not meet.
os.environ.setdefault("PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE", "100")
os.environ.setdefault("PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL", "1")

# How long one may take to start: on a busy machine more than the 20 seconds that are usual.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

"""The protocol of serve.mjs for engines in Python: one JSON request a line in, one JSON line out."""

import json
import os
import resource
import sys
import time
import traceback


def serve(tasks):
    """`tasks` maps a task to a function that takes the request's other fields and returns a dictionary."""
    # What libraries print goes to the error stream: the standard output is the protocol's.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    tasks = {**tasks, "memory": lambda: {"peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}}
    for line in sys.stdin:
        request = json.loads(line)
        task = request.pop("task")
        try:
            answer = tasks[task](**request) if task in tasks else {"error": f"unknown task {task}"}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


def timed(work):
    """Seconds that `work` takes, with what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result

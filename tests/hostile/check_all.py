"""Checks every spec of a folder and prints, as JSON, the codes of what is said about each, and the memory it all took in MB.

A program of its own, so that its memory is that of cgc alone. A spec that takes two seconds ends it.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

from cgc.compiler import check
from cgc.source.render import render

said = {}
for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
    signal.alarm(2)
    found = check(path.name)
    assert render(found).replace("\n", "").isprintable()
    said[path.stem] = [diagnostic.code for diagnostic in found]
    signal.alarm(0)
# Linux hands ru_maxrss down from the process that started this one
status = Path("/proc/self/status")
if status.exists():
    megabytes = int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
else:
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"said": said, "megabytes": megabytes}))

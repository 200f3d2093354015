"""Loads every spec of a folder and prints, as JSON, the codes of what is said about each, and the memory it all took in MB.

A program of its own, so that its memory is that of cgc alone. A spec that takes two seconds ends it.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

from cgc.source.diagnostics import SpecError
from cgc.source.render import render
from cgc.spec.load import load

said = {}
for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
    signal.alarm(2)
    try:
        load(path.name)
        said[path.stem] = []
    except SpecError as error:
        text = render(error.diagnostics)
        assert text.replace("\n", "").isprintable()
        said[path.stem] = [diagnostic.code for diagnostic in error.diagnostics]
    signal.alarm(0)
# Linux hands ru_maxrss down from the process that started this one
status = Path("/proc/self/status")
if status.exists():
    megabytes = int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
else:
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"said": said, "megabytes": megabytes}))

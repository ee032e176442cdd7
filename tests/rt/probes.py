"""The probes that a program's notes list are those of the documentation.

    probes.py READELF PROGRAM"""
import re
import subprocess
import sys

WANTED = {"spawn", "run", "wait", "wake", "yield", "end", "cancel", "poll", "turn", "io"}

notes = subprocess.run([sys.argv[1], "--wide", "--notes", sys.argv[2]], capture_output=True,
                       text=True, check=True).stdout
found = re.findall(r"Provider: weir\s+Name: (\w+)\s.*?Arguments: ([^\n]*)", notes, re.S)
names = {name for name, _ in found}
if names != WANTED:
    sys.exit(f"probes: missing {sorted(WANTED - names)}, unknown {sorted(names - WANTED)}")
for name, arguments in found:
    if len(re.findall(r"-?\d@", arguments)) != 5:
        sys.exit(f"probes: {name} has not five arguments: {arguments}")

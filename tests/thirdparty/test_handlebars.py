"""Templates against Handlebars.js itself: what headgate does not refuse, it renders as the original does.

Run by ``nox -s handlebars``, which installs the npm package and names its folder in HANDLEBARS_HOME.
"""

from __future__ import annotations

import json
import os
import random
import subprocess

import pytest

from headgate.errors import ConfigError
from headgate.suite.handlebars import HandlebarsTemplate

HOME = os.environ.get("HANDLEBARS_HOME")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(HOME is None, reason="HANDLEBARS_HOME names no installation of handlebars"),
]
SCRIPT = """
const handlebars = require("handlebars").create();
handlebars.registerHelper("json", (value) => new handlebars.SafeString(JSON.stringify(value)));
handlebars.registerHelper("ifEquals", function (a, b, o) { return a === b ? o.fn(this) : o.inverse(this); });
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { source, values } = JSON.parse(line);
  let made;
  try { made = handlebars.compile(source, { noEscape: true })(values); } catch { made = null; }
  console.log(JSON.stringify(made));
});
"""
# No numbers and no true or false: two of them side by side are added up by Handlebars.js.
VALUES = {"a": "A", "b": "<b>", "s": "", "l": ["x", "y"], "e": [], "o": {"k": "v", "a": "in"}, "ls": [{"k": "1"}]}
BLANKS = ["", "", "", " ", "\n", "  ", "\n\n", "\t", " \n"]
PATHS = [*VALUES, "o.k", "ls.[0].k"]


def made(rng, depth):
    parts = []
    for _ in range(rng.randint(1, 4)):
        parts.append(rng.choice(BLANKS))
        kind = rng.random()
        if kind < 0.3:
            parts.append(rng.choice(["text", "two words", "{", "}"]))
        elif kind < 0.6:
            parts.append(f"{{{{{rng.choice(['', '', '~'])}{rng.choice(PATHS)}{rng.choice(['', '', '~'])}}}}}")
        elif kind < 0.65:
            parts.append(rng.choice(["{{! note }}", "{{!-- note --}}", "{{json o}}"]))
        elif depth:
            parts.append(block(rng, depth))
    return "".join([*parts, rng.choice(BLANKS)])


def block(rng, depth):
    path = rng.choice(PATHS)
    opened, closed = rng.choice(
        [(f"if {path}", "if"), (f"unless {path}", "unless"), (f"each {path}", "each"), ('ifEquals a "A"', "ifEquals")]
    )
    other = f"{{{{else}}}}{made(rng, depth - 1)}" if rng.random() < 0.4 else ""
    return f"{{{{#{opened}}}}}{made(rng, depth - 1)}{other}{{{{/{closed}}}}}"


def ours(source):
    """What is rendered here; None where it is refused."""
    try:
        return "".join(text for _, text in HandlebarsTemplate(f"[{source}]").messages(VALUES, role="user"))
    except ConfigError:
        return None


def test_what_is_not_refused_is_rendered_alike():
    rng = random.Random(20)
    sources = [made(rng, 2) for _ in range(20_000)]
    lines = "\n".join(json.dumps({"source": f"[{source}]", "values": VALUES}) for source in sources)
    ran = subprocess.run(["node", "-e", SCRIPT], input=lines, capture_output=True, text=True, cwd=HOME, check=True)
    theirs = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(theirs) == len(sources)
    rendered = [(source, ours(source), original) for source, original in zip(sources, theirs, strict=True)]
    assert [row for row in rendered if row[1] is not None and row[1] != row[2]] == []
    assert sum(mine is not None for _, mine, _ in rendered) > 2_000

"""What a reference to a key looks like."""

from __future__ import annotations

import re
from typing import Final

SECRET_REFERENCE: Final = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")

"""Write the references of the suite and canary files, and their JSON Schemas: ``python docs/generate_suite.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headgate.suite.schema import canary_schema, suite_schema

HERE = Path(__file__).parent

EXAMPLE = """\
# yaml-language-server: $schema=schemas/suite-v1.json
name: support-bot
items: data/items.jsonl                 # CSV, JSONL, Parquet, a list, or {path, id, target, cluster, where, limit}
prompts:                                # a file, or inline text / messages; jinja2 {{ variable }}
  baseline: prompts/support-v1.prompt.yml
  candidate: {text: "Answer briefly: {{ question }}"}
models:
  - {id: small, provider: openai, model: gpt-5-mini, api_key: env:OPENAI_API_KEY, params: {max_completion_tokens: 256}}
  - id: local
    provider: openai-compatible
    model: qwen3-8b
    base_url: "http://vllm:8000/v1"
    params: {max_tokens: 256}
    price: {input_usd_per_million: 0.05, output_usd_per_million: 0.2}   # a published one is known
lanes:                                  # optional; a model in no lane has one of its own
  - {models: [small], requests_per_minute: 5000, tokens_per_minute: 2000000, concurrency: 256}
seeds: 3
first_seed: 1                           # number of the first one: others draw independently (headgate baseline refresh)
scorers:
  - {name: correct, type: exact_match, target: "{{ target }}", ignore_case: true}
  - {name: custom, type: python, call: "scorers:grade"}
  - {name: no_pii, type: regex, pattern: '\\d{3}-\\d{2}-\\d{4}', negate: true}
compare: {baseline: {prompt: baseline}, candidate: {prompt: candidate}}      # or {model: ...}; may be left out
gates:
  - {metric: correct, margin: 0.02}                       # candidate not worse than baseline by more than 2 points
  - {metric: correct, min: 0.80}                          # absolute threshold
  - {metric: latency_s, max_ratio: 1.2, tier: warning}    # error_rate, refusal_rate, cost_usd, output_tokens too
  - {metric: no_pii, zero_tolerance: true}                # any occurrence fails
policy: {alpha: 0.05, on_inconclusive: keep, max_error_rate: 0.01, max_seeds: 5}
budget: {max_cost_usd: 20, max_minutes: 30}
store: {outputs: keep, redact: ['\\d{3}-\\d{2}-\\d{4}']}     # or hash, or drop; see Secrets
"""

HEAD = """\
# Suite file

A suite declares an evaluation: what is asked, of whom, how the answers are scored, and what may pass. It is a YAML,
TOML or JSON file, or [`hg.Suite`](api.md) with the same names. Paths are relative to the file. An unknown key is an
error.

```yaml
{example}```

The first line gives an editor the JSON Schema (docs/schemas/suite-v1.json): completion, and errors as you type. In TOML
and JSON the key `$schema` does.

YAML is read as YAML 1.2: `no`, `on` and dates are text. Values are not converted: `seeds: "3"` is an error.

A suite is code: it names Python functions, keys and URLs. Running a stranger's suite with your keys is running a
stranger's code with your keys.
"""

CANARY_HEAD = """\
# Canary file

What a [canary](canary.md) is, and what may pass: a YAML, TOML or JSON file, or [`hg.Canary`](api.md) with the same
names. Places are relative to the file. An unknown key is an error. Its JSON Schema for editors is
docs/schemas/canary-v1.json.
"""

ORDER = (
    "Items", "PromptSource", "Message", "ContentPart", "Model", "Endpoint", "Price", "Simulation", "Faults",
    "JudgeSimulation", "Lane",
    "ExactMatch", "Contains", "StartsWith", "EndsWith", "Regex", "StringSimilarity", "Length", "Language", "Refusal",
    "Numeric", "MultipleChoice", "Classification",
    "JsonValid", "JsonSchema", "JsonField", "SqlValid", "XmlValid", "HtmlValid", "ToolCall", "ToolCallValid",
    "Bleu", "Chrf", "Gleu", "Rouge", "TokenF1", "Perplexity", "Limit", "StopReason",
    "EmbeddingSimilarity", "Python", "Evaluator", "Judge", "Calibrate", "Weighted", "PassAtK", "F1",
    "MatthewsCorrelation",
    "Compare", "Arm", "Gate", "Policy", "Budget", "Store",
)  # fmt: skip

NOTES = {
    "Evaluator": "Each framework with examples, and the models that evaluators ask: [Evaluators](evaluators.md).",
    "Items": """\
A CSV cell is text, whatever it looks like; JSONL, Parquet and inline rows keep their types. All columns are variables
of the templates.""",
    "PromptSource": """\
| file | what it is |
|---|---|
| `.txt` `.md` `.jinja` `.jinja2` `.j2` | jinja2 template of one user message |
| `.prompt.yml` `.prompt.yaml` | GitHub Models: messages, parameters, response format; plain `{{name}}` only |
| `.prompt` | dotprompt: configuration, and a Handlebars template |
| `.prompty` | Prompty: configuration, and messages with jinja2 |
| `.json` `.yaml` `.yml`, `FILE.txt#2` | promptfoo: a chat, or one prompt of several; plain `{{ name }}` only |

What each format's language may hold, and what is refused, stands in [Prompts](prompts.md).

A plain text in place of the mapping is a path when it ends like one of these, else the template itself; a list is
`messages`. Parameters in a prompt's file belong to the prompt and are sent with its jobs; a model that gives another
value is an error.""",
    "ExactMatch": """\
What each type of scorer is for, with an example, and its counterparts elsewhere: [Scoring](scoring.md).""",
    "Judge": """\
How a judge is asked, blind and calibrated, and what that costs: [Judges](judges.md).""",
    "Price": """\
Without it the published price holds, where there is one: [Cost](cost.md).""",
}


def suite_page() -> str:
    """Return the Markdown of docs/suite.md."""
    schema = suite_schema()
    parts = schema["$defs"]
    assert set(ORDER) == set(parts), set(ORDER) ^ set(parts)
    sections = [HEAD.format(example=EXAMPLE), "## Suite\n\n" + _table(schema)]
    for name in ORDER:
        head = f"## {name}\n\n{' '.join(parts[name]['description'].split())}\n\n"
        notes = f"\n{NOTES[name]}\n" if name in NOTES else ""
        sections.append(head + _table(parts[name]) + notes)
    return "\n".join(sections)


def canary_page() -> str:
    """Return the Markdown of docs/canary-file.md."""
    schema = canary_schema()
    parts = schema["$defs"]
    traffic = f"## Traffic\n\n{parts['Traffic']['description']}\n\n{_table(parts['Traffic'])}"
    judges = f"## Judges\n\n{parts['Judges']['description']}\n\n{_table(parts['Judges'])}"
    text = f"{CANARY_HEAD}\n{_table(schema)}\n{traffic}\n{judges}"
    for name in ORDER:
        text = text.replace(f"](#{name.lower()})", f"](suite.md#{name.lower()})")
    return text


def _table(part: dict[str, Any]) -> str:
    required = part.get("required", [])
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in part["properties"].items():
        default = "**required**" if name in required else _default(field)
        meaning = field.get("description", "").replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(field)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value is None or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return _link(field["$ref"])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{choice}`" for choice in field.get("enum", [field.get("const")]))
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(dict.fromkeys(_type(one) for one in field[several] if one.get("type") != "null"))
    return _container(field) + _bounds(field)


def _container(field: dict[str, Any]) -> str:
    kind = field.get("type", "anything")
    if kind == "array" and "prefixItems" in field:
        return f"list of {len(field['prefixItems'])} {_type(field['prefixItems'][0])}s"
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"mapping of {_type(field['additionalProperties'])}"
    return {"string": "text", "integer": "whole number", "boolean": "true, false", "object": "mapping"}.get(kind, kind)


def _bounds(field: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {field[key]:g}" for key, sign in signs.items() if key in field]
    return f" ({', '.join(found)})" if found else ""


def _link(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1]
    return f"[{name}](#{name.lower()})"


def write() -> None:
    """Write all files."""
    (HERE / "schemas").mkdir(exist_ok=True)
    (HERE / "schemas" / "suite-v1.json").write_text(json.dumps(suite_schema(), indent=2) + "\n", encoding="utf-8")
    (HERE / "schemas" / "canary-v1.json").write_text(json.dumps(canary_schema(), indent=2) + "\n", encoding="utf-8")
    (HERE / "canary-file.md").write_text(canary_page(), encoding="utf-8")
    (HERE / "suite.md").write_text(suite_page(), encoding="utf-8")


if __name__ == "__main__":
    write()

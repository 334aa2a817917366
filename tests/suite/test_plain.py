"""Plain templates: one canonical form over all languages, which never stands for two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.suite.handlebars import HandlebarsTemplate
from headgate.suite.plain import PlainTemplate, canonical_form, unix_lines, value_text
from headgate.suite.templates import Template

LANGUAGES = ("jinja2", "prompty", "prompty-v1", "github-models", "handlebars", "mustache", "nunjucks")


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_template_has_one_form_in_every_language(language):
    variable = "{{{who}}}" if language == "mustache" else "{{who}}"
    assert canonical_form(f"Hi {variable}!\r\n", language) == "Hi {{ who }}!\n"


@pytest.mark.parametrize(
    ("language", "construct"),
    [
        ("jinja2", "{{ q | upper }}"),
        ("jinja2", "{% if q %}x{% endif %}"),
        ("jinja2", "{# note #}"),
        ("jinja2", "{{- q }}"),
        ("jinja2", "{{ true }}"),
        ("jinja2", "{{ q.r }}"),
        ("jinja2", "{{{q}}}"),
        ("jinja2", "{{ q"),
        ("github-models", "{{ q }}"),
        ("github-models", "{{a-b}}"),
        ("handlebars", "{{#if q}}x{{/if}}"),
        ("handlebars", "{{{q}}}"),
        ("handlebars", "{{q}}}"),
        ("handlebars", "\\{{q}}"),
        ("handlebars", "\\\\{{q}}"),
        ("handlebars", "{{this}}"),
        ("handlebars", "{{history}}"),
        ("handlebars", "{{~q}}"),
        ("handlebars", "{{@root.q}}"),
        ("mustache", "{{q}}"),
        ("mustache", "{{{{q}}}}"),
        ("nunjucks", "{{ env }}"),
        ("nunjucks", "{{ q or r }}"),
    ],
)
def test_what_a_language_acts_on_is_not_plain(language, construct):
    assert canonical_form(f"a {construct} b", language) is None


@pytest.mark.parametrize("language", ["handlebars", "mustache"])
def test_a_sign_of_another_language_is_text(language):
    assert canonical_form("{% if x %} {# y #}", language) == "{% if x %} {# y #}"
    assert canonical_form("{% if x %} {# y #}", "jinja2") is None


TEXTS = st.text(st.sampled_from("ab {}%#\\\n<&\r"), max_size=12)
VALUES = st.one_of(st.text(max_size=5), st.integers(-(2**53), 2**53), st.floats(1e-4, 1e15, exclude_max=True))


@given(st.lists(st.one_of(TEXTS, st.sampled_from(["{{q}}", "{{ q }}", "{{r}}"])), max_size=5), VALUES, VALUES)
def test_engines_agree_on_what_is_plain(parts, q, r):
    """Where a source is plain in a language, that language's own engine writes what the plain template writes."""
    source, values = "".join(parts), {"q": q, "r": r}
    if any(value_text(value) is None for value in values.values()):
        return
    if canonical_form(source, "jinja2") is not None:
        assert Template(source).render(values) == PlainTemplate(source, "jinja2").render(values)
    if canonical_form(source, "handlebars") is not None and source.strip():
        rendered = "".join(text for _, text in HandlebarsTemplate(unix_lines(source)).messages(values, role="user"))
        expected = PlainTemplate(source, "handlebars").render(values)
        assert rendered == (expected if expected.strip() else "")


@pytest.mark.parametrize("value", [True, False, None, [1], {"a": 1}, 1.0, 1e22, 1e-9, float("nan"), 2**53 + 1])
def test_a_value_that_languages_write_differently_is_refused(value):
    with pytest.raises(ConfigError, match=r"'q' is .* which template languages write differently; make it text"):
        PlainTemplate("{{q}}", "handlebars").render({"q": value})


def test_errors_name_file_field_value_and_mend():
    with pytest.raises(ConfigError) as caught:
        PlainTemplate("a {{#q}}", "nunjucks", file="a.json", where="messages.0")
    assert str(caught.value) == (
        "a.json: messages.0: '{{#q}}' is Nunjucks, of which only plain variables are rendered; "
        "write a .j2 file, which is read as jinja2"
    )
    with pytest.raises(ConfigError) as caught:
        PlainTemplate("{{q}}", "handlebars", file="a.prompt").render({"r": 1}, row="row 7")
    assert str(caught.value) == (
        "a.prompt: '{{q}}' cannot be rendered for row 7: 'q' is undefined; the item's columns are: r"
    )


def test_values_are_never_templates():
    assert PlainTemplate("{{q}}{{r}}", "handlebars").render({"q": "{{r}}", "r": "{{q}}"}) == "{{r}}{{q}}"

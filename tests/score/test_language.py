from __future__ import annotations

import pytest

from headgate.suite.scorers import Language
from score_rows import scored, values

TEXTS = {
    "en": "The committee will meet again next week to discuss the results of the survey.",
    "de": "Der Ausschuss trifft sich nächste Woche wieder, um die Ergebnisse der Umfrage zu besprechen.",
    "fr": "Le comité se réunira de nouveau la semaine prochaine pour discuter des résultats de l'enquête.",
    "es": "El comité se reunirá de nuevo la próxima semana para discutir los resultados de la encuesta.",
    "ja": "委員会は来週再び会合を開き、調査結果について話し合う予定です。",
    "ru": "Комитет снова соберется на следующей неделе, чтобы обсудить результаты опроса.",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_text_is_in_its_language_and_in_no_other(code):
    spec = Language(name="l", type="language")
    expected = [float(code == other) for other in TEXTS]
    assert values(spec, *((TEXTS[code], other) for other in TEXTS)) == expected


def test_the_label_is_the_language_and_one_of_several_will_do():
    found = scored(
        Language(name="l", type="language"),
        [{"output": TEXTS["fr"], "target": ["en", "FR"]}, {"output": TEXTS["de"], "target": ["en"]}],
    )
    assert found.rows() == [(1, "fr", None), (0, "de", None)]


def test_what_is_not_probable_enough_is_not_told():
    found = scored(Language(name="l", type="language", min_probability=1.0), [{"output": "ok", "target": "en"}])
    assert found["value"].to_list() == [None]
    assert "only" in found["explanation"].item()

"""Words looked up in tables and texts cut into lists: what the short ways give is what the long ways would."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import types
from engine.compile import compile_plan
from engine.model import FieldMapping, FieldType, Mapping, Step, TargetField, TargetModel
from engine.steps.words import SPACES

THING = TargetModel(
    name="thing", key=("value",), fields=(TargetField(name="value"), TargetField(name="list", type=FieldType.TEXTS))
)  # fmt: skip


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    found = duckdb.connect()
    types.register(found)
    return found


def made(
    database: duckdb.DuckDBPyConnection, texts: list[str | None], field: str, step: Step
) -> list[object]:
    fields = (FieldMapping(field=field, source="t", steps=(step,)),)
    branch = compile_plan([Mapping(target="thing", fields=fields)], {"thing": THING}).branches[0]
    database.execute("CREATE OR REPLACE TABLE source AS SELECT unnest(?::VARCHAR[]) AS t", [texts])
    return [row[0] for row in database.execute(f"SELECT {field} FROM ({branch.sql})").fetchall()]


@pytest.mark.parametrize("by", [";", "||", ".", " ", "[", "\\", "é", "\n"])
def test_a_text_is_cut_into_its_trimmed_parts_that_are_not_empty(
    database: duckdb.DuckDBPyConnection, by: str
) -> None:
    piece = st.sampled_from(["a", "é", "B c", by, *SPACES[:4], "\u00a0", "\ufeff"])

    @settings(deadline=None)
    @given(st.lists(st.lists(piece, max_size=8).map("".join), min_size=1))
    @example(
        ["", by, f"a{by}", f"{by}a", f"a{by}{by}b", f" a{by}b", f"a {by}b", f"a{by} b", f"a{by}b ", f"a{by}b"]
    )
    def check(texts: list[str]) -> None:
        expected = [[part.strip(SPACES) for part in text.split(by) if part.strip(SPACES)] for text in texts]
        assert made(database, [*texts], "list", Step(step="split", options={"by": by})) == expected

    check()
    assert made(database, [None], "list", Step(step="split", options={"by": by})) == [None]


@pytest.mark.parametrize("name", ["tlp", "misp-threat-level", "indicator-kind", "malware-type-ov"])
def test_a_word_of_a_vocabulary_means_the_same_however_it_is_spelt(
    database: duckdb.DuckDBPyConnection, name: str
) -> None:
    vocabulary = types.VOCABULARIES[name]
    words = vocabulary.words()
    spelt = [(word, meant) for word, meant in words.items()]
    spelt += [(f"  {word.upper()} ", meant) for word, meant in words.items() if word.upper().lower() == word]
    spelt += [(value, words[value.lower()]) for value in vocabulary.values]
    step = Step(step="map", options={"vocabulary": name, "otherwise": "null"})
    assert made(database, [text for text, _ in spelt], "value", step) == [meant for _, meant in spelt]
    assert made(database, ["no word of it", "", None], "value", step) == [None, None, None]


def test_a_list_of_thousands_of_words_some_of_which_mean_nothing_is_looked_up_like_a_short_one(
    database: duckdb.DuckDBPyConnection,
) -> None:
    values: dict[str, str | None] = {f"Word {n}": f"meaning {n}" for n in range(4_000)} | {
        "n/a": None,
        "it's": "O'Hara",
    }
    texts: list[str | None] = ["word 7", " WORD 3999 ", "Word 0", "N/A", "it's", "unknown", "", None]
    for otherwise, rest in (("keep", ["unknown", ""]), ("null", [None, None])):
        step = Step(step="map", options={"values": values, "otherwise": otherwise})
        found = made(database, texts, "value", step)
        assert found[:5] == ["meaning 7", "meaning 3999", "meaning 0", None, "O'Hara"]
        assert [each or None for each in found[5:7]] == [each or None for each in rest]
        assert found[7] is None

"""What a connector says of itself holds: it can do what it claims, and claims what it can do."""

import sys

import pytest

from connectors import CONNECTORS


@pytest.mark.parametrize("name", list(CONNECTORS))
def test_a_connector_claims_to_be_a_sink_exactly_where_it_can_write(name):
    found = CONNECTORS[name]
    assert hasattr(sys.modules[found.config.__module__], "write") == ("write" in found.capabilities)


@pytest.mark.parametrize("name", list(CONNECTORS))
def test_what_a_form_folds_away_can_be_left_alone(name):
    schema = CONNECTORS[name].config.model_json_schema()
    folded = {each for each, told in schema["properties"].items() if told.get("further")}
    assert not folded & set(schema.get("required", ()))


@pytest.mark.parametrize("name", list(CONNECTORS))
def test_the_words_of_a_choice_say_what_they_mean(name):
    for told in CONNECTORS[name].config.model_json_schema()["properties"].values():
        words = {word for word in told.get("enum", ()) if word[0].isalpha()}
        assert words == set(told.get("meanings", {}))

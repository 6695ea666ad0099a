"""Root keys and key rings: what opens, what refuses, and what never shows."""

from __future__ import annotations

import base64
import os
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.kek import (
    Cost,
    DamagedKey,
    Kek,
    KeyFile,
    KeyFileRefused,
    Passphrase,
    WeakPassphrase,
    WrongRootKey,
    create_key_file,
    load_key_file,
)
from storage.keyring import WrongTenantKey, derive, new_tenant_key, open_ring

CHEAP = Cost(time=1, memory=64, lanes=1)
KEY = bytes(range(32))


def passphrase(text: str = "correct horse battery") -> Passphrase:
    return Passphrase(text, CHEAP)


@pytest.fixture(params=["passphrase", "key file"])
def kek(request: pytest.FixtureRequest) -> Kek:
    return passphrase() if request.param == "passphrase" else KeyFile(b"k" * 32)


def test_a_wrapped_key_opens_to_itself_and_looks_different_each_time(kek: Kek) -> None:
    first, second = kek.wrap(KEY, b"acme"), kek.wrap(KEY, b"acme")
    assert kek.unwrap(first, b"acme") == kek.unwrap(second, b"acme") == KEY
    assert first != second
    assert KEY not in first


def test_a_key_wrapped_for_one_tenant_does_not_open_for_another(kek: Kek) -> None:
    with pytest.raises(DamagedKey, match="belongs to another tenant"):
        kek.unwrap(kek.wrap(KEY, b"acme"), b"globex")


def test_every_changed_byte_of_a_wrapped_key_is_noticed(kek: Kek) -> None:
    blob = kek.wrap(KEY, b"acme")
    for place in range(len(blob)):
        if 21 <= place < 33 and blob[4:5] == b"p":
            continue  # the cost, below: flipped high bits would ask for minutes of work
        changed = bytearray(blob)
        changed[place] ^= 1
        with pytest.raises((WrongRootKey, DamagedKey)):
            kek.unwrap(bytes(changed), b"acme")
    for length in range(len(blob)):
        with pytest.raises((WrongRootKey, DamagedKey)):
            kek.unwrap(blob[:length], b"acme")


def test_a_wrapped_key_that_asks_for_too_much_memory_is_refused_without_trying() -> None:
    blob = bytearray(passphrase().wrap(KEY, b"acme"))
    blob[25:29] = (0xFFFFFFFF).to_bytes(4, "big")
    with pytest.raises(DamagedKey):
        passphrase().unwrap(bytes(blob), b"acme")


@pytest.mark.parametrize("other", [passphrase("another passphrase"), KeyFile(b"k" * 32)])
def test_a_wrong_root_key_says_so_plainly(other: Kek) -> None:
    with pytest.raises(WrongRootKey, match="The root key does not open this tenant's key") as error:
        other.unwrap(passphrase().wrap(KEY, b"acme"), b"acme")
    assert "acme" in str(error.value)
    assert error.value.action


def test_the_same_passphrase_opens_in_another_process_however_it_was_typed() -> None:
    composed, apart = "caf\u00e9 au lait, bien sûr", "cafe\u0301 au lait, bien sûr"
    assert passphrase(apart).unwrap(passphrase(composed).wrap(KEY, b"acme"), b"acme") == KEY


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(WeakPassphrase):
        Passphrase("elevenchars")


def test_a_key_file_is_made_once_private_and_opens_what_it_wrapped(tmp_path: Path) -> None:
    path, data = tmp_path / "keys" / "root.key", tmp_path / "data"
    made = create_key_file(path, data=data)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key_file(path, data=data).unwrap(made.wrap(KEY, b"acme"), b"acme") == KEY
    before = path.read_bytes()
    with pytest.raises(KeyFileRefused, match="already there"):
        create_key_file(path, data=data)
    assert path.read_bytes() == before


def test_a_key_file_is_not_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "root.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileRefused):
        create_key_file(tmp_path / "root.key", data=tmp_path / "data")
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_file_inside_the_data_folder_is_refused_even_through_a_link(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(KeyFileRefused, match="inside the data folder"):
        create_key_file(data / "root.key", data=data)
    create_key_file(tmp_path / "root.key", data=data).wrap(KEY, b"acme")
    (data / "copy.key").write_bytes((tmp_path / "root.key").read_bytes())
    (tmp_path / "link.key").symlink_to(data / "copy.key")
    with pytest.raises(KeyFileRefused, match="inside the data folder"):
        load_key_file(tmp_path / "link.key", data=data)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_key_file_others_can_reach_is_refused_with_what_to_type(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    create_key_file(path, data=tmp_path / "data")
    path.chmod(mode)
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        load_key_file(path, data=tmp_path / "data")


def test_a_key_file_may_be_hexadecimal_or_base64_and_nothing_else(tmp_path: Path) -> None:
    path, data = tmp_path / "root.key", tmp_path / "data"
    blob = KeyFile(KEY).wrap(b"x" * 32, b"acme")
    path.touch(0o600)
    for text in (KEY.hex(), KEY.hex().upper() + "\n", base64.b64encode(KEY).decode()):
        path.write_text(text)
        assert load_key_file(path, data=data).unwrap(blob, b"acme") == b"x" * 32
    for text in ("", "password", KEY.hex()[:-2], "zz" * 32, base64.b64encode(KEY[:16]).decode()):
        path.write_text(text)
        with pytest.raises(KeyFileRefused, match="32 bytes"):
            load_key_file(path, data=data)


def test_a_missing_key_file_or_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.key", tmp_path):
        with pytest.raises(KeyFileRefused, match=str(path)):
            load_key_file(path, data=tmp_path / "data")


def test_the_keys_of_a_ring_differ_by_use_and_by_tenant() -> None:
    rings = [derive(KEY, "acme"), derive(KEY, "globex"), derive(bytes(32), "acme")]
    keys = [k for r in rings for k in (r.check, r.store, r.landing, r.credential, r.audit, r.pseudonym)]
    assert len(set(keys)) == len(keys) == 18
    assert all(len(key) == 32 for key in keys)
    assert derive(KEY, "acme").store == rings[0].store


def test_a_ring_never_changes_from_one_version_to_the_next() -> None:
    assert derive(KEY, "acme").store_hex == "4154830db83fe4be7efee6869d6c66183cfc3735a2d7de9055d7fbd9c004e5aa"


@given(st.binary(min_size=32, max_size=32))
def test_a_wrong_tenant_key_is_recognised_before_the_store_is_touched(other: bytes) -> None:
    check = derive(KEY, "acme").check
    if other != KEY:
        with pytest.raises(WrongTenantKey):
            open_ring(other, "acme", check)
    with pytest.raises(WrongTenantKey):
        open_ring(KEY, "globex", check)
    assert open_ring(KEY, "acme", check).tenant == "acme"


def test_no_key_shows_where_an_object_is_printed_or_written() -> None:
    key = new_tenant_key()
    ring = derive(key, "acme")
    for thing in (ring, passphrase(), KeyFile(key)):
        for shown in (repr(thing), str(thing), f"{thing!s}"):
            assert key.hex() not in shown
            assert ring.store.hex() not in shown
            assert repr(ring.store) not in shown
            assert "horse" not in shown
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    assert len({os.urandom(0), new_tenant_key(), new_tenant_key()}) == 3

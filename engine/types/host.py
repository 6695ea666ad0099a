"""Kinds found on a machine: files, paths, registry keys, mutexes, programs' names for themselves."""

from __future__ import annotations

from engine.types.kind import Kind
from engine.types.sql import full, literal, when
from engine.types.words import is_word

HIVES = {
    "HKEY_LOCAL_MACHINE": r"hkey_local_machine|hklm|registry\\machine",
    "HKEY_CURRENT_USER": r"hkey_current_user|hkcu",
    "HKEY_CLASSES_ROOT": r"hkey_classes_root|hkcr",
    "HKEY_USERS": r"hkey_users|hku|registry\\user",
    "HKEY_CURRENT_CONFIG": r"hkey_current_config|hkcc",
}
UNIX_ROOTS = (
    "bin|boot|dev|etc|home|lib|lib32|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|"
    "Applications|Library|System|Users|Volumes|private|data|sdcard|storage"
)
WINDOWS_PATH = (
    r"(?:[A-Za-z]:[\\/]|\\\\[^\\/:*?\"<>|\s][^\\/:*?\"<>|]*\\|%[A-Za-z_()0-9]+%\\)[^*?\"<>|\x00-\x1f]*"
)
UNIX_PATH = rf"/(?:{UNIX_ROOTS})(?:/[^\x00-\x1f]*)?|~/[^\x00-\x1f]+"
ABSOLUTE = r"[/~][^\x00-\x1f]*"
FILE_NAME = r"[^\\/:*?\"<>|\x00-\x1f]+"
NAMED = "[.][A-Za-z0-9]+"
HIVE = rf"(?i)\\?(?:{'|'.join(HIVES.values())}):?(?:\\[^\x00-\x1f]*)?"
YARA = r"(?s).*\brule\s+[A-Za-z_]\w*\s*(?::[^{]*)?\{.*\bcondition\s*:.*\}.*"


def filename_form(value: str) -> str:
    """One name, no folder: nothing a file system forbids, and not only dots."""
    return when(f"strlen({value}) <= 255 AND {full(value, FILE_NAME)} AND NOT {full(value, '[. ]*')}", value)


def is_named_file(value: str) -> str:
    """SQL: a file name with an extension we know; the only bare names recognised as files."""
    known = is_word(f"lower(split_part({value}, '.', -1))", "spire_extension")
    return f"strlen({value}) <= 255 AND {full(value, FILE_NAME + NAMED)} AND {known}"


def path_form(value: str) -> str:
    """An absolute Windows, UNC or Unix path, or one that starts at a variable or the home folder."""
    return when(f"{full(value, WINDOWS_PATH)} OR {full(value, ABSOLUTE)}", value)


def is_known_path(value: str) -> str:
    """SQL: surely a path: of Windows, or under a folder every Unix or macOS has."""
    return f"({full(value, WINDOWS_PATH)} OR {full(value, UNIX_PATH)})"


def is_registry_key(value: str) -> str:
    """SQL: starts with a registry hive in any of its spellings."""
    return full(value, HIVE)


def registry_form(value: str) -> str:
    """The hive's full name, the rest as it stands."""
    hives = " ".join(
        f"WHEN regexp_matches({value}, {_start(short)}) "
        f"THEN {literal(name)} || regexp_replace({value}, {_start(short)}, '')"
        for name, short in HIVES.items()
    )
    return when(is_registry_key(value), f"CASE {hives} END")


def _start(short: str) -> str:
    return literal(rf"(?i)^\\?(?:{short}):?")


def mutex_form(value: str) -> str:
    return when(f"length({value}) BETWEEN 1 AND 512 AND NOT regexp_matches({value}, '[\\x00-\\x1f]')", value)


def user_agent_form(value: str) -> str:
    return when(f"length({value}) BETWEEN 1 AND 2048 AND NOT regexp_matches({value}, '[\\x00-\\x1f]')", value)


def is_user_agent(value: str) -> str:
    """SQL: starts the way browsers and common clients name themselves."""
    return full(value, r"(?:Mozilla|Opera|Dalvik|curl|Wget|python-requests|Go-http-client|okhttp)/[0-9.]+.*")


def is_yara(value: str) -> str:
    """SQL: holds at least one rule with a condition."""
    return full(value, YARA)


def yara_form(value: str) -> str:
    return when(is_yara(value), value)


HOST_KINDS = (
    Kind("filename", "File name", "A name without folders, as it stands.", filename_form),
    Kind("file-path", "File path", "An absolute path of Windows or Unix, as it stands.", path_form),
    Kind("registry-key", "Registry key", "The hive's full name (HKEY_LOCAL_MACHINE), the rest as it stands.", registry_form),
    Kind("mutex", "Mutex", "A mutex's name; known by its field only.", mutex_form),
    Kind("user-agent", "User agent", "What a client calls itself, as it stands.", user_agent_form),
    Kind("yara", "YARA rule", "The text of one or more rules.", yara_form),
)  # fmt: skip

"""Words: standard terms only, and one meaning for each class name."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("actors", "api", "broker", "media", "platforms", "store")

# Metaphors that were used for technical things, with the standard term in their place.
METAPHORS = {
    "arena": "environment",
    "bell": "channel, notification",
    "bury": "dead-letter",
    "buried": "dead-lettered",
    "clerk": "writer thread",
    "contestant": "candidate",
    "crew": "workers",
    "desk": "queue buffer",
    "door": "API, method, command",
    "doorbell": "channel",
    "envelope": "message, record",
    "errand": "message, request",
    "forget": "delete, drop, clear",
    "gate": "write lock",
    "hungry": "idle",
    "intake": "upload",
    "landlord": "owner",
    "lookout": "listener",
    "mend": "fix, correct",
    "mourn": "watch a process",
    "obituary": "failure",
    "office": "backend store",
    "patrol": "heartbeat, prune",
    "rival": "candidate, baseline",
    "shelf": "store",
    "sitter": "face",
    "stranger": "sender, client",
    "tally": "counter, run log",
    "wishes": "options",
    "workshop": "package",
    "world": "state",
}
PHRASES = {"shift plan": "flow", "sign of life": "heartbeat", "the house": "the project", "in-house": "own"}
PLURALS = {word + "s": word for word in METAPHORS} | {
    "buries": "bury",
    "burying": "bury",
    "envelopes": "envelope",
    "forgetting": "forget",
    "forgot": "forget",
    "forgotten": "forget",
    "mended": "mend",
    "mending": "mend",
    "mourned": "mourn",
    "mourning": "mourn",
    "obituaries": "obituary",
    "shelves": "shelf",
    "tallies": "tally",
    "unmourn": "mourn",
}
# Files in which a word has its ordinary meaning.
ORDINARY: dict[tuple[str, str], str] = {
    ("tests/test_names.py", "*"): "this list",
    ("CHANGELOG.md", "gate"): "names of an earlier version",
    ("DECISIONS.md", "gate"): "a noise gate",
    ("broker/README.md", "gate"): "the lock file's name in existing data directories",
    ("broker/storage/write_lock.py", "gate"): "the lock file's name in existing data directories",
    ("tests/broker/test_hostile.py", "gate"): "the lock file's name in existing data directories",
    ("actors/malloc.py", "arena"): "the word of glibc's malloc",
    ("scripts/machine/private_files.py", "gate"): "the lock file's name in existing data directories",
    ("tests/scripts/test_private_files.py", "gate"): "the lock file's name in existing data directories",
    ("media/cutting/speech.py", "gate"): "a noise gate",
    ("media/cutting/voice_activity.py", "gate"): "the gates of an LSTM cell",
    ("media/cutting/voice_activity.py", "forget"): "the forget gate of an LSTM cell",
    ("docs/publishing-errors.md", "forget"): "the error code publish_id_forgotten",
    ("platforms/tiktok/api.py", "forget"): "the error code publish_id_forgotten",
    ("platforms/tiktok/polling.py", "forget"): "the error code publish_id_forgotten",
    ("platforms/next_steps.py", "forget"): "the error code publish_id_forgotten",
    ("tests/platforms/test_tiktok.py", "forget"): "the error code publish_id_forgotten",
    ("media/cutting/loudness.py", "gate"): "the gate of ITU-R BS.1770",
    ("media/cutting/loudness.py", "shelf"): "a high-shelf filter (ITU-R BS.1770)",
    ("media/process/runner.py", "arena"): "glibc's MALLOC_ARENA_MAX",
    ("broker/storage/database.py", "bell"): "the folder's name in existing data directories",
    ("tests/broker/test_results.py", "bell"): "the folder's name in existing data directories",
    ("tests/broker/test_wakeup.py", "bell"): "the folder's name in existing data directories",
    ("tests/media/cutting/backgrounds.py", "door"): "a sentence in Dutch",
    ("tests/media/cutting/spoken.py", "hungry"): "a sentence that is spoken",
    ("tests/media/cutting/test_pauses.py", "envelope"): "the amplitude envelope of a sound",
    ("tests/api/test_uploads.py", "bell"): "the ASCII control character",
    ("scripts/benchmarks/gaze/__main__.py", "rival"): "`--rivals` is the earlier name of `--candidates`",
}

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def _files() -> list[str]:
    command = ["git", "ls-files", "*.py", "*.js", "*.md"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def _metaphors(text: str) -> Counter[str]:
    words = Counter(word.lower() for word in _WORD.findall(text))
    found: Counter[str] = Counter()
    for word, count in words.items():
        if (singular := PLURALS.get(word, word)) in METAPHORS:
            found[singular] += count
    lowered = " ".join(text.lower().split())
    for phrase in PHRASES:
        found[phrase] += len(re.findall(rf"\b{phrase}\b", lowered))
    return +found


def test_standard_terms_are_used_instead_of_metaphors() -> None:
    found = [
        f"{name}: {word} ({count} times; use: {(METAPHORS | PHRASES)[word]})"
        for name in _files()
        for word, count in sorted(_metaphors((ROOT / name).read_text(encoding="utf-8")).items())
        if (name, word) not in ORDINARY and (name, "*") not in ORDINARY
    ]
    assert found == []


# A first line that begins so has no subject or verb. A property is "The ...", a function "Return whether ...".
RIDDLES = ("What", "Who", "Whose", "Whether", "Why", "Say whether", "Tell whether")
READ_FOR_RIDDLES = (*(f"{package}/" for package in PRODUCT), "scripts/", "tests/")


def test_no_docstring_begins_with_a_riddle() -> None:
    found = []
    for name in _files():
        if name.startswith(READ_FOR_RIDDLES) and name.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    first = (ast.get_docstring(node) or "").split("\n")[0]
                    if first.startswith(tuple(f"{word} " for word in RIDDLES)):
                        found.append(f"{name}: {first}")
    assert found == []


# A name may be defined once for each outlet: `Upload` of TikTok and of YouTube are the same thing at two companies.
OUTLETS = ("instagram", "tiktok", "youtube")
SAME_NAME: dict[str, str] = {
    "DatabaseReplaced": "broker and store import nothing of each other; both document it for their own file",
    "DatabaseUnavailable": "likewise",
}


def test_a_class_name_has_one_meaning() -> None:
    places: defaultdict[str, set[str]] = defaultdict(set)
    for name in _files():
        if name.startswith(tuple(f"{package}/" for package in PRODUCT)) and name.endswith(".py"):
            own = "/".join("<outlet>" if part in OUTLETS else part for part in Path(name).parts)
            for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].add(own)
    repeated = {name: sorted(files) for name, files in places.items() if len(files) > 1}
    assert {name: files for name, files in repeated.items() if name not in SAME_NAME} == {}

"""Logs of `llm` 0.36: made, verified and compared by the package itself.

    llm_log.py make FOLDER        writes FOLDER/logs.db with everything that a log can hold
    llm_log.py verify LOG         llm's own verification of every hash
    llm_log.py compare ONE TWO    rows of two logs are equal but for ids and times
    llm_log.py filters ONE TWO    `llm logs` shows the same of both under each filter
    llm_log.py search LOG WORDS   how long `llm logs -q` takes

Exits with 1 where something is not as it should be.
"""

import json
import pathlib
import re
import sqlite3
import subprocess
import sys
import time

import llm
import sqlite_utils
from llm.logs import LogStore
from llm.parts import (
    AttachmentPart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6300010000050001"
    "0d0a2db40000000049454e44ae426082"
)


def multiply(a: float, b: float) -> float:
    "Multiply two numbers."
    return a * b


class Notes(llm.Toolbox):
    "Remembers notes."

    def __init__(self, where: str):
        self.where = where

    def add(self, note: str) -> str:
        "Add a note."
        return f"{self.where}: {note}"


class Raw(llm.Model):
    """Answers with a payload that repeats the answer, which llm stores condensed."""

    model_id = "raw"

    def execute(self, prompt, stream, response, conversation=None):
        text = "An answer that is long enough to be a reference in the stored payload instead."
        message = {"message": {"content": text}}
        response.response_json = {"id": "x", "$": 1, "choices": [message], "one": {"$": "y"}}
        response.set_resolved_model("raw-2026")
        yield text


def log(db, model, text, **more):
    response = model.prompt(text, **more)
    response.text()
    response.log_to_db(db)


def make_conversations(db, store, echo):
    """Threads of several turns and a fork: non-ASCII text, options, usage, reasoning."""
    talk = echo.conversation()
    texts = ["Hello", 'Grüße, 東京! \u2028 \x7f "quoted" \\ back', "third\nline\ttab 😀"]
    for at, text in enumerate(texts):
        system = None if at else "Be brief."
        log(db, talk, text, system=system, thinking=not at, example_bool=True)
    tip = store.thread_tip(talk.id)
    sql = "select parent_hash from messages where hash = ?"
    middle = db.execute(sql, [tip]).fetchone()[0]
    fork = store.fork(middle, name="a fork", forked_from=talk.id)
    store.append(fork, [Message("assistant", [TextPart("another answer")])])


def make_references(db, folder, echo):
    """Fragments, one the beginning of another; a schema; attachments of each kind."""
    long = "The quick brown fox jumps over the lazy dog. " * 20
    for fragments in [[long], [long, "The quick"], ["The quick", "The quick"]]:
        system = {"system_fragments": ["Answer as a fox."], "system": "Be kind."}
        log(db, echo, "What is it about?", fragments=fragments, **system)
    db["fragment_aliases"].insert({"alias": "fox", "fragment_id": 1})
    schema = llm.schema_dsl("name, age int: in years, größe float")
    log(db, echo, "a person", schema=schema)
    image = folder / "dot.png"
    image.write_bytes(PNG)
    url = "https://example.com/é.png"
    attachments = [
        llm.Attachment(content=PNG),
        llm.Attachment(path=str(image)),
        llm.Attachment(url=url, type="image/png"),
    ]
    for attachment in attachments:
        log(db, echo, "what is this?", attachments=[attachment])


def make_tools(db, echo):
    """A function and an instance of a toolbox, with numbers of several kinds."""
    numbers = {"b": 1e-7, "a": 1e16, "z": 1.0, "n": 12345678901234567890123}
    calls = [
        {"name": "multiply", "arguments": numbers},
        {"name": "Notes_add", "arguments": {"note": "é"}},
    ]
    prompt = json.dumps({"prompt": "multiply", "tool_calls": calls})
    chain = echo.conversation(tools=[multiply, Notes(where="Köln")]).chain(prompt)
    chain.text()
    chain.log_to_db(db)


def make_by_hand(store):
    """Messages that no model here makes: metadata, sealed reasoning, every kind of number."""
    numbers = {
        "float": 1.0, "int": 1, "big": 10**30, "tiny": 5e-324, "huge": 1.7976931348623157e308,
        "nan": float("nan"), "inf": float("inf"), "neg": -0.0, "none": None, "empty": {},
        "list": [1e16, 1e15, 123456.789, 1e-4, 1e-5], "B": True, "a": "ä",
        "\U0001f600": 1, "\uffff": 2,
    }  # fmt: skip
    text = llm.Attachment(content=b"plain text", type="text/plain")
    files = [
        llm.Attachment(content=b"log", type="text/plain"),
        llm.Attachment(content=PNG, type="image/png"),
    ]
    error = "ValueError: boom"
    messages = [
        Message("system", [TextPart("sys")], {"x": [1, 2.5, {"é": "\u2028"}]}),
        Message("user", [TextPart("one"), TextPart("two"), AttachmentPart(text), AttachmentPart()]),
        Message(
            "assistant",
            [
                ReasoningPart("", redacted=True),
                ReasoningPart("thinking", provider_metadata={"signature": "s" * 80}),
                TextPart("text", provider_metadata={}),
                ToolCallPart("search", numbers, "call-1", True, {"k": 0}),
                ToolResultPart("search", "found", "call-1", True),
                ToolCallPart("local", {}, None),
            ],
        ),
        Message(
            "tool",
            [ToolResultPart("local", "Error: boom", None, False, files, error, {"p": 1})],
        ),
        Message("assistant", []),
    ]
    store.append(store.create_thread(name="by hand"), messages)


def make(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    db = sqlite_utils.Database(str(folder / "logs.db"))
    store = LogStore(db)
    echo = llm.get_model("echo")
    echo.supports_schema = True
    make_conversations(db, store, echo)
    make_references(db, folder, echo)
    make_tools(db, echo)
    make_by_hand(store)
    log(db, Raw(), "payload")
    print("made", db["turns"].count, "turns,", db["messages"].count, "messages")
    return 0


def rows(path):
    """Rows of every table, with what ids stand for in their place, and without times."""
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row

    def get(sql):
        return [dict(row) for row in db.execute(sql)]

    def table(name, **places):
        return [
            {**row, **{key: place.get(row[key]) for key, place in places.items()}}
            for row in get(f"select * from {name}")
        ]

    fragments = {row["id"]: row["hash"] for row in get("select * from fragments")}
    tools = {row["id"]: row["hash"] for row in get("select * from tools")}
    instances = {row["id"]: {**row, "id": 0} for row in get("select * from tool_instances")}
    places = get("select id, message_hash, position from parts")
    parts = {row["id"]: (row["message_hash"], row["position"]) for row in places}

    def named(payload):
        name = lambda match: f'"fragment": "{fragments[int(match[1])]}"'
        return payload and re.sub(r'"fragment": (\d+)', name, payload)

    tables = {name: table(name) for name in ["messages", "attachments", "schemas"]}
    tables |= {
        "parts": [{**r, "id": 0, "payload": named(r["payload"])} for r in table("parts")],
        "part_attachments": table("part_attachments", part_id=parts),
        "part_fragments": table("part_fragments", part_id=parts, fragment_id=fragments),
        "fragments": get("select hash, content, source from fragments"),
        "fragment_aliases": table("fragment_aliases", fragment_id=fragments),
        "tools": [{**row, "id": 0} for row in table("tools")],
        "tool_instances": list(instances.values()),
        "threads": [{**row, "datetime_utc": 0} for row in table("threads")],
        "turns": [{**row, "datetime_utc": 0} for row in table("turns")],
        "turn_tools": table("turn_tools", tool_id=tools, instance_id=instances),
        "turn_fragments": table("turn_fragments", fragment_id=fragments),
        "tool_instantiations": table("tool_instantiations", instance_id=instances),
        "turn_search": get("select turn_id, prompt, response from turn_search"),
        "turn_search_fts": get(
            "select turn_id from turn_search_fts join turn_search on id = turn_search_fts.rowid"
            " where turn_search_fts match 'fox OR hello OR 東京'"
        ),
    }
    return {name: sorted(map(repr, found)) for name, found in tables.items()}


def compare(one, two):
    first, second = rows(one), rows(two)
    n_different = 0
    for table in first:
        is_equal = first[table] == second[table]
        n_different += not is_equal
        print(f"{table:20} {len(first[table]):4} rows", "equal" if is_equal else "DIFFERENT")
        for row in [r for r in first[table] if r not in second[table]][:5]:
            print("  -", row[:500])
        for row in [r for r in second[table] if r not in first[table]][:5]:
            print("  +", row[:500])
    return n_different


def verify(path):
    broken = LogStore(sqlite_utils.Database(path)).verify()
    print("verify:", f"{len(broken)} broken {broken[:5]}" if broken else "every hash is right")
    return len(broken)


def logs(path, *args):
    command = [sys.executable, "-m", "llm", "logs", "list", "-d", path, *args]
    done = subprocess.run(command, capture_output=True, text=True)
    # Times, and ids of rows, which are numbers.
    shown = re.sub(r'("(?:datetime_utc|id)": )[^,\n]*|(# \d{4}-)[^\n]*', r"\1\2", done.stdout)
    return done.returncode, shown, done.stderr[-500:]


def filters(one, two):
    db = sqlite3.connect(one)

    def value(sql):
        return db.execute(sql).fetchone()[0]

    fourth = value("select id from turns order by id limit 1 offset 3")
    schema = value("select schema_id from turns where schema_id is not null")
    thread = value("select thread_id from turns order by id limit 1")
    cases = [
        "-n 0", "-n 3 --json", "-n 0 --json", "-q fox", "-q hello -l", "-m echo -n 2", "-m raw",
        "-m raw-2026", "-f fox -n 0", "-T multiply -n 0", "--tools -n 0", f"--schema {schema} -n 0",
        "-c", f"--cid {thread}", f"--id-gt {fourth}", f"--id-gte {fourth} -n 0", "-n 0 -u",
        "-n 0 -s", "-r", "-n 0 -x", "-n 0 -e", "-n 0 -t",
    ]  # fmt: skip
    n_different = 0
    for case in cases:
        first, second = logs(one, *case.split()), logs(two, *case.split())
        is_equal = first[:2] == second[:2] and first[0] == 0
        n_different += not is_equal
        verdict = "equal," if is_equal else "DIFFERENT,"
        print(f"llm logs {case}:", verdict, len(first[1]), "characters")
        if not is_equal:
            print(first[2], second[2], sep="\n")
    return n_different


def search(path, *words):
    """Each search in a process of its own; the times in milliseconds."""
    for word in words:
        started = time.perf_counter()
        code, shown, error = logs(path, "-q", word, "-l", "-n", "10")
        print(f"{(time.perf_counter() - started) * 1e3:.0f}", word, error if code else "")
    return 0


verbs = {f.__name__: f for f in [make, verify, compare, filters, search]}
sys.exit(1 if verbs[sys.argv[1]](*sys.argv[2:]) else 0)

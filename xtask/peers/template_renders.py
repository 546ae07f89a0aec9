"""Renders conversations through chat templates as `transformers` does: Jinja2 in its sandbox.

    template_renders.py FOLDER > renders.json

For each template of FOLDER and each conversation below: what Jinja2 prints, also with content as a
list of parts and with the arguments of calls as text, or why it cannot. The conversations stand in
the output, so that whoever compares need not know them.
"""

import datetime
import json
import pathlib
import sys

from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """`{% generation %}` marks what a model wrote, and prints what it holds."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


class Refusal(Exception):
    """What a template says with `raise_exception`."""


def refuse(message):
    raise Refusal(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def environment():
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = refuse
    moment = datetime.datetime(2024, 7, 26, 13, 20)
    made.globals["strftime_now"] = lambda form: moment.strftime(form)
    return made


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Its name"},
                    "days": {"type": "integer", "description": "How many, from 1 to 9"},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "now",
            "description": "",
            "parameters": {"type": "object", "properties": {}, "required": []},
        },
    },
]


def call(name, arguments, identity="abcdefghi"):
    return {
        "id": identity,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


SYSTEM = {"role": "system", "content": "Be kind.\n"}
ASK = {"role": "user", "content": 'Is it "1 < 2"? Grüße,\n世界! '}
TELL = {"role": "assistant", "content": " It is. "}
THOUGHT = {"role": "assistant", "content": "It is.", "reasoning_content": "Hm.\nSo."}
THANKS = {"role": "user", "content": "Thanks."}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [call("get_weather", {"city": "Bern", "days": 3, "deep": {"a": [1, True, "é"]}})],
}
THOUGHT_CALL = {**CALL, "reasoning_content": "I need it."}
RESULT = {
    "role": "tool",
    "content": '{"rain": true}',
    "tool_call_id": "abcdefghi",
    "name": "get_weather",
}

CONVERSATIONS = [
    ([ASK], []),
    ([SYSTEM, ASK], []),
    ([SYSTEM, ASK, TELL, THANKS], []),
    ([ASK, THOUGHT, THANKS], []),
    ([ASK], TOOLS),
    ([SYSTEM, ASK], TOOLS),
    ([ASK, CALL, RESULT], TOOLS),
    ([SYSTEM, ASK, THOUGHT_CALL, RESULT, TELL, THANKS], TOOLS),
]


# Names of the field that holds reasoning: a template reads one of them.
REASONING = ["reasoning_content", "thinking", "reasoning", "thought"]


def named(messages, source):
    """Reasoning under the name that the template looks for."""
    reads = lambda name: any(form in source for form in (f".{name}", f"'{name}'", f'"{name}"'))
    name = next(filter(reads, REASONING), REASONING[0])
    rename = lambda key: name if key == REASONING[0] else key
    return [{rename(key): value for key, value in message.items()} for message in messages]


def written(messages):
    """Arguments of calls as text."""
    messages = json.loads(json.dumps(messages))
    for message in messages:
        for one in message.get("tool_calls", []):
            text = json.dumps(one["function"]["arguments"], ensure_ascii=False)
            one["function"]["arguments"] = text
    return messages


def typed(messages):
    parts = lambda text: [{"type": "text", "text": text}]
    return [{**message, "content": parts(message["content"])} for message in messages]


def render(template, messages, tools):
    try:
        text = template.render(
            messages=messages,
            tools=tools or None,
            documents=None,
            add_generation_prompt=True,
            bos_token="<BOS>",
            eos_token="<EOS>",
            unk_token="",
            pad_token="",
        )
        return {"text": text}
    except Exception as error:  # what a template may do wrong has no end
        return {"error": f"{type(error).__name__}: {error}"}


def main(folder):
    renders = []
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        try:
            source = path.read_text(encoding="utf-8")
            template = environment().from_string(source)
        except Exception as error:
            print(f"{path.name} does not parse: {error}", file=sys.stderr)
            continue
        for number, (messages, tools) in enumerate(CONVERSATIONS):
            renders.append(
                {
                    "template": path.name,
                    "conversation": number,
                    "messages": messages,
                    "tools": tools,
                    "plain": render(template, named(messages, source), tools),
                    "typed": render(template, typed(named(messages, source)), tools),
                    "written": render(template, written(named(messages, source)), tools),
                }
            )
    json.dump(renders, sys.stdout, ensure_ascii=False)


main(sys.argv[1])

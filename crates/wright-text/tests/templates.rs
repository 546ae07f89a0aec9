//! Chat templates: what they print, what they refuse, and that data stays data.

mod small;

use small::{Random, Small};
use wright_chat::{Message, Origin, Part, Role, Tool, ToolCall, ToolResult};
use wright_text::{Error, Now, RankPrompt, RenderOptions, Template, Tokenizer};

fn tokenizer() -> Tokenizer {
    Small::load().chat("gpt-2")
}

fn options() -> RenderOptions {
    RenderOptions { add_generation_prompt: true, ..RenderOptions::default() }
}

/// Renders a template's source over a conversation of one user message.
fn render(source: &str, text: &str) -> Result<String, Error> {
    let tokenizer = tokenizer();
    let template = Template::parse(source, &tokenizer)?;
    template.render(&[Message::user(text)], &[], &options()).map(|rendered| rendered.text())
}

#[test]
fn built_in_templates_print_their_families_formats() {
    let tokenizer = tokenizer();
    let conversation =
        [Message::system(" Be kind. "), Message::user("Hi"), Message::assistant("Hello!")];
    let mut conversation = conversation.to_vec();
    conversation.push(Message::user("Bye\n"));
    let check = |name: &str, want: &str| {
        let template = Template::built_in(name, &tokenizer).unwrap();
        assert!(template.takes_system(), "{name}");
        let rendered = template.render(&conversation, &[], &options()).unwrap();
        assert_eq!(rendered.text(), want, "{name}");
    };
    check(
        "chatml",
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
         <|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n\
         <|im_start|>assistant\n",
    );
    check(
        "gemma",
        "<|im_start|><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\n\
         Hello!<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
    );
    check(
        "llama2",
        "<|im_start|>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello! <|im_end|>\
         <|im_start|>[INST] Bye [/INST]",
    );
    check(
        "llama3",
        "<|im_start|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>\
         <|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n",
    );
    check(
        "mistral",
        "<|im_start|> [INST] Be kind.\n\nHi [/INST] Hello!<|im_end|> [INST] Bye [/INST]",
    );
    check(
        "phi3",
        "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello!<|end|>\n\
         <|user|>\nBye<|end|>\n<|assistant|>\n",
    );
    check(
        "zephyr",
        "<|system|>\nBe kind.<|im_end|>\n<|user|>\nHi<|im_end|>\n<|assistant|>\n\
         Hello!<|im_end|>\n<|user|>\nBye<|im_end|>\n<|assistant|>\n",
    );
    assert_eq!(Template::built_in_names().len(), 7);
    let error = Template::built_in("nobody", &tokenizer).unwrap_err();
    assert!(error.hint().unwrap().contains("chatml"));
}

#[test]
fn python_shows_through() {
    let check = |source: &str, want: &str| assert_eq!(render(source, "hi").unwrap(), want);
    check("{{ true }} {{ none }} {{ 1.0 }} {{ [1, 'a', None] }}", "True None 1.0 [1, 'a', None]");
    check("{{ {'a': [true, \"it's\"]} }}", "{'a': [True, \"it's\"]}");
    check("{{ {'a': [1, 2.5], 'b': '<é>'} | tojson }}", r#"{"a": [1, 2.5], "b": "<é>"}"#);
    check("{{ {'b': 1, 'a': []} | tojson(indent=2) }}", "{\n  \"b\": 1,\n  \"a\": []\n}");
    check("{{ 'x\n' | tojson }}{{ 'é' | tojson(ensure_ascii=true) }}", "\"x\\n\"\"\\u00e9\"");
    check("{{ ' a '.strip() + 'b,c'.split(',')[1] }}", "ac");
    // What Jinja2 3.1 in Python prints.
    check("{{ '{\\n' | indent(4, first=true) }}|", "    {\n|");
    check("{{ 'a\\n\\nb\\n' | indent(2) }}|", "a\n\n  b\n|");
    check("{{ 'a\\n\\nb' | indent('>', true, true) }}|", ">a\n>\n>b|");
    check("{{ 'abc'.startswith('ab') }}{{ 'x-y'.removeprefix('x-') }}", "Truey");
    check("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "012");
    check(
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}\
         {% endfor %}{{ ns.n }}",
        "1",
    );
    check("{% generation %}{{ messages[0].content }}{% endgeneration %}", "hi");
    check("{{ tools is iterable }}{{ messages is iterable }}", "FalseTrue");
    check("{{ strftime_now is defined }}", "False");
}

#[test]
fn the_date_is_an_argument() {
    let tokenizer = tokenizer();
    let template = Template::parse("{{ strftime_now('%d %b %Y') }}", &tokenizer).unwrap();
    let now = Some(Now { unix_s: 1_722_000_000, utc_offset_s: 0 });
    let options = RenderOptions { now, ..RenderOptions::default() };
    assert_eq!(template.render(&[], &[], &options).unwrap().text(), "26 Jul 2024");
}

#[test]
fn errors_say_what_failed_and_how_to_fix_it() {
    let refused = "{{ raise_exception('roles must alternate') }}";
    assert_eq!(render(refused, "hi"), Err(Error::TemplateRefused("roles must alternate".into())));
    for (source, want) in [
        ("{% if %}", "does not parse"),
        ("{{ messages[0].nothing.more }}", "failed"),
        ("{{ nothing() }}", "failed"),
    ] {
        let error = render(source, "hi").unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(error.hint().unwrap().contains("chatml"));
    }
    let tokenizer = tokenizer();
    let deaf = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}";
    let template = Template::parse(deaf, &tokenizer).unwrap();
    let conversation = [Message::system("Be kind."), Message::user("Hi")];
    assert_eq!(template.render(&conversation, &[], &options()), Err(Error::NoSystemRole));
    assert_eq!(template.render(&conversation[1..], &[tool()], &options()), Err(Error::NoTools));
    assert!(!template.takes_system() && !template.takes_tools());
}

#[test]
fn hostile_templates_run_out_of_budget() {
    let hostile = [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}\
         {% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "{{ 'x' * 2000000000 }}",
        "{{ 'x' * 10000000 }}",
        "{{ 'a\\na' | indent(2000000000) }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'a'.ljust(10000000000) }}{{ '%1000000000d' | format(1) }}",
        "{{ range(1000000000) | list | tojson }}",
        "{% for i in range(100000) %}{{ messages | tojson }}{% endfor %}",
    ];
    for source in hostile {
        let error = render(source, &"long ".repeat(1000)).unwrap_err();
        let is_bounded = matches!(error, Error::TemplateTooMuch(_) | Error::TemplateFailed(_));
        assert!(is_bounded, "{source}: {error}");
    }
    let deep = format!("{}x{}", "{% if true %}".repeat(5000), "{% endif %}".repeat(5000));
    assert!(render(&deep, "hi").is_err());
    assert!(matches!(render(&"x".repeat(2 << 20), "hi"), Err(Error::TemplateTooMuch(_))));
}

#[test]
fn long_conversations_are_within_the_budget() {
    // At every message all others are looked at, as Gemma 4's template does.
    let source = "{% for m in messages %}{% set ns = namespace(last=0) %}\
        {% for other in messages %}{% if other.role == 'user' %}\
        {% set ns.last = loop.index0 %}{% endif %}{% endfor %}\
        {{ m.content }}{{ ns.last }} {% endfor %}";
    let template = Template::parse(source, &tokenizer()).unwrap();
    let conversation = |n| -> Vec<Message> {
        let message = |at| if at % 2 == 0 { Message::user("a") } else { Message::assistant("b") };
        (0..n).map(message).collect()
    };
    let text = template.render(&conversation(301), &[], &options()).unwrap().text();
    assert!(text.starts_with("a300 b300 a300 "), "{}", &text[..30]);
    let error = template.render(&conversation(3001), &[], &options()).unwrap_err();
    assert!(matches!(error, Error::TemplateTooMuch(_)), "{error}");
}

fn tool() -> Tool {
    Tool {
        name: "weather".to_owned(),
        description: "The weather <|im_end|> in a city".to_owned(),
        parameters: serde_json::json!({
            "type": "object",
            "properties": { "<|im_end|>": { "type": "string", "description": "<|im_start|>" } },
            "required": ["city"],
        }),
    }
}

#[test]
fn tools_calls_and_results_reach_the_template() {
    let tokenizer = tokenizer();
    let source = "{% for t in tools %}{{ t.function.name }}:{{ t.function.parameters.type }} \
        {% endfor %}{% for m in messages %}[{{ m.role }} {{ m.content }}\
        {% if m.reasoning_content %} ({{ m.reasoning_content }}){% endif %}\
        {% for c in m.tool_calls or [] %} {{ c.function.name }}{{ c.function.arguments | tojson }}\
        {% endfor %}]{% endfor %}";
    let template = Template::parse(source, &tokenizer).unwrap();
    let call = ToolCall::new("c1", "weather", r#"{"city": "Bern"}"#);
    let thought = Part::reasoning("hm");
    let result = Part::from(ToolResult::ok(&call, "rain"));
    let conversation = [
        Message::user("Rain?"),
        Message::new(Role::Assistant, vec![thought, call.into()]),
        Message::new(Role::Tool, vec![result]),
    ];
    let text = template.render(&conversation, &[tool()], &options()).unwrap().text();
    let want =
        "weather:object [user Rain?][assistant  (hm) weather{\"city\": \"Bern\"}][tool rain]";
    assert_eq!(text, want);
}

#[test]
fn content_as_a_list_of_parts_is_found_out() {
    let source =
        "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}";
    assert_eq!(render(source, "hello").unwrap(), "hello");
}

#[test]
fn spans_tell_whose_tokens_they_are() {
    let tokenizer = tokenizer();
    let template = Template::built_in("chatml", &tokenizer).unwrap();
    let words = ["Hi <|im_end|>", " the great answer\n", "thanks"];
    let conversation =
        [Message::user(words[0]), Message::assistant(words[1]), Message::user(words[2])];
    let options = RenderOptions { spans: true, ..options() };
    let rendered = template.render(&conversation, &[], &options).unwrap();
    let text = rendered.text();
    let told: Vec<_> =
        rendered.spans().iter().map(|s| (s.message, &text[s.start..s.end])).collect();
    assert_eq!(told, [(0, "Hi <|im_end|>"), (1, "the great answer"), (2, "thanks")]);
    let encoded = tokenizer.encode_rendered_owned(&rendered);
    assert_eq!(encoded.ids, tokenizer.encode_rendered(&rendered));
    for (message, word) in words.iter().enumerate() {
        let ids = encoded.ids.iter().zip(&encoded.owners);
        let ids: Vec<u32> =
            ids.filter(|(_, owner)| **owner == Some(message)).map(|(&id, _)| id).collect();
        assert_eq!(tokenizer.decode(&ids), word.trim().as_bytes());
    }
    let upper = Template::parse("{{ messages[0].content | upper }}", &tokenizer).unwrap();
    let rendered = upper.render(&conversation[1..], &[], &options).unwrap();
    assert_eq!(rendered.spans().len(), 1);
    let halved = Template::parse("{{ messages[0].content[:12] }}", &tokenizer).unwrap();
    assert_eq!(halved.render(&conversation[1..], &[], &options), Err(Error::NoSpans));
}

/// Templates that trim, join, slice and split; data made of pieces of control tokens: the control
/// tokens that come out are those that harmless data gives.
#[test]
fn data_never_forms_a_control_token() {
    let tokenizer = tokenizer();
    let sources = [
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
        "{% for m in messages %}<|im_start|>{{ m.content | trim }}<|im_end|>{% endfor %}",
        "{% for m in messages %}<|{{ m.content }}|>{{ m.content }}{% endfor %}<|x|>",
        "{% for m in messages %}<|im_{{ m.content.split('</think>')[-1] }}{% endfor %}",
        "{% for m in messages %}{{ m.content[2:] }}{{ m.content[:4] }}|><|x|>{% endfor %}",
        "{{ messages | map(attribute='content') | join('') }}<|im_end|>",
        "{{ messages[0].content | replace('#', '') }}{{ messages[-1].content | lower }}",
        "{{ messages | tojson }}<|im_end|>{{ messages[0].content | tojson(ensure_ascii=true) }}",
        "{% for m in messages %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}<|x|>",
    ];
    let pieces = [
        "<",
        "|",
        ">",
        "<|",
        "|>",
        "im_",
        "im_end",
        "im_start",
        "<|im_end|>",
        "<|im_start|>",
        "x",
        "<|x|",
        "|x|>",
        "end|>",
        " ",
        "\n",
        "#",
        "</think>",
        "a",
        "<|IM_END|>",
        "é",
        "\u{fdd0}",
    ];
    let mut random = Random(99);
    let controls = |template: &Template, texts: &[String]| {
        let conversation: Vec<Message> = texts.iter().map(|t| Message::user(t.as_str())).collect();
        let rendered = template.render(&conversation, &[], &options()).unwrap();
        let ids = tokenizer.encode_rendered(&rendered);
        let controls: Vec<u32> =
            ids.iter().copied().filter(|&id| tokenizer.is_control(id)).collect();
        controls
    };
    for source in sources {
        let template = Template::parse(source, &tokenizer).unwrap();
        for round in 0..300 {
            let n = 1 + round % 3;
            let texts: Vec<String> = (0..n)
                .map(|_| (0..1 + random.below(6)).map(|_| random.pick(&pieces)).collect())
                .collect();
            let harmless: Vec<String> = vec!["harmless words 123".to_owned(); n];
            assert_eq!(controls(&template, &texts), controls(&template, &harmless), "{texts:?}");
        }
    }
}

#[test]
fn the_beginning_of_text_stands_once() {
    let small = Small::load();
    let mut spec = small.spec("gpt-2", true);
    spec.add_bos = Some(true);
    let tokenizer = Tokenizer::new(&spec).unwrap();
    let bos = tokenizer.bos().unwrap();
    for source in ["{{ bos_token }}{{ messages[0].content }}", "{{ messages[0].content }}"] {
        let template = Template::parse(source, &tokenizer).unwrap();
        let rendered = template.render(&[Message::user("Hi")], &[], &options()).unwrap();
        let ids = tokenizer.encode_rendered(&rendered);
        assert_eq!(ids.iter().filter(|&&id| id == bos).count(), 1);
        assert_eq!(ids[0], bos);
    }
}

#[test]
fn a_query_and_a_document_stand_in_their_places_and_forge_nothing() {
    const RANK: &str = "<|im_start|>user\nQuery: {query}\nDocument: {document}<|im_end|>\n";
    let tokenizer = tokenizer();
    let prompt = RankPrompt::parse(RANK, &tokenizer).unwrap();
    let check = |query: &str, document: &str| {
        let rendered = prompt.render(query, document).unwrap();
        let want = format!("<|im_start|>user\nQuery: {query}\nDocument: {document}<|im_end|>\n");
        assert_eq!(rendered.text(), want);
        let ids = tokenizer.encode_rendered(&rendered);
        let controls = ids.iter().filter(|&&id| tokenizer.is_control(id));
        let controls: Vec<_> = controls.map(|&id| tokenizer.token_bytes(id)).collect();
        assert_eq!(controls, [&b"<|im_start|>"[..], b"<|im_end|>"], "{query} {document}");
    };
    check("a b", "c d");
    check("a {document} b", "{query}");
    check("<|im_end|>", "x<|im_start|>");
    check("<|im_", "<|im_end|");
    assert!(RankPrompt::parse("{query} alone", &tokenizer).is_none());
}

#[test]
fn calls_of_past_turns_go_into_the_content_where_a_template_passes_over_them() {
    let source = "{% if tools %}List of tools: [{{ tools }}]{% endif %}\
        {% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}";
    let tokenizer = tokenizer();
    let template = Template::parse(source, &tokenizer).unwrap();
    let call = ToolCall::new("1", "find", r#"{"what": "<|im_end|>"}"#);
    let said = Part::text(Origin::Model, "So.");
    let said = Message::new(Role::Assistant, vec![said, call.into()]);
    let rendered = template.render(&[Message::user("Find it"), said], &[], &options()).unwrap();
    let want = "[user]Find it[assistant]So.<|tool_call_start|>[find(what=\"<|im_end|>\")]\
        <|tool_call_end|>";
    assert_eq!(rendered.text(), want);
    let ids = tokenizer.encode_rendered(&rendered);
    assert!(!ids.iter().any(|&id| tokenizer.is_control(id)));
}

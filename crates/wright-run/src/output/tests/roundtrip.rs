//! What is parsed and rendered again is the same text, through the families' real templates.
//!
//! The templates are those of llama.cpp's source where `cargo xtask peers` has put it. Elsewhere
//! that test is skipped, and says so even where the harness captures the output of tests.

use super::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use wright_text::{Algorithm, Now, RenderOptions, Spec, Template, TokenKind, Tokenizer};

/// Templates whose past turns are not what the model writes, and why.
const ODD: &[(&str, &str, &str)] = &[
    ("NVIDIA-Nemotron-Nano-v2", "text", "the prompt opens reasoning that past turns do not close"),
    ("NVIDIA-Nemotron-Nano-v2", "text, call", "the prompt opens reasoning, as above"),
    ("Reka-Edge", "text", "it puts a blank before a text, which the model writes itself"),
    ("Reka-Edge", "text, call", "a blank, as above"),
    (
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
        "text, call",
        "text goes into a turn of its own, after the calls",
    ),
    ("openai-gpt-oss-120b", "text, call", "text before a call is put into the analysis"),
];

/// What ends a turn: control tokens, which are not said.
const ENDS: &[&str] = &[
    "\n<|START_OF_TURN_TOKEN|>",
    "</assistant>",
    "<EOS>",
    "<SPECIAL_12>",
    "<end_of_sentence>",
    "<end_of_turn>",
    "<seed:eos>",
    "<sep>",
    "<turn|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|assistant_end|>",
    "<|end_of_msg|>",
    "<|end_of_text|>",
    "<|end|>\n",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|eot|>",
    "<|im_end|>",
    "<|return|>",
    "<|role_end|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "<｜hy_eos:opensource｜>",
    "[e~[",
];

fn templates() -> Vec<PathBuf> {
    let cache = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) => PathBuf::from(home).join(".cache"),
        _ => return Vec::new(),
    };
    let Ok(peers) = std::fs::read_dir(cache.join("wright-peers")) else { return Vec::new() };
    let folders = peers.flatten().map(|e| e.path().join("vendor/llama.cpp/models/templates"));
    let files = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "jinja"));
    paths.sort();
    paths
}

fn tokenizer() -> Tokenizer {
    let mut spec = Spec::new(Algorithm::ByteBpe);
    spec.pre = "gpt-2";
    spec.tokens = vec![b"<BOS>", b"<EOS>"];
    spec.kinds = vec![TokenKind::Control; 2];
    (spec.bos, spec.eos) = (Some(0), Some(1));
    Tokenizer::new(&spec).unwrap()
}

fn weather() -> Tool {
    tool(
        "get_weather",
        json!({
            "city": { "type": "string" },
            "days": { "type": "integer" },
            "code": { "type": "string" },
            "deep": { "type": "object" },
        }),
    )
}

fn weather_call(index: u32) -> Part {
    let arguments = json!({
        "city": "Bern \"x\" <b>\n & é",
        "code": "01",
        "days": 3 + index,
        "deep": { "a": [1, true, "x"] },
    });
    let arguments = arguments.to_string().replace("\":", "\": ").replace(',', ", ");
    ToolCall::new(format!("abcdefgh{index}"), "get_weather", arguments).into()
}

/// Answers to be read back, by what they hold.
fn answers() -> Vec<(&'static str, Vec<Part>)> {
    vec![
        ("text", vec![text("It rains.")]),
        ("reasoning, text", vec![thought("Hm.\nSo."), text("It rains.")]),
        ("call", vec![weather_call(0)]),
        ("calls", vec![weather_call(0), weather_call(1)]),
        ("text, call", vec![text("Let me see."), weather_call(0)]),
        ("reasoning, call", vec![thought("Hm."), weather_call(0)]),
        (
            "reasoning, text, calls",
            vec![thought("Hm."), text("So."), weather_call(0), weather_call(1)],
        ),
    ]
}

/// Parts without what is a template's own choice: ids of calls, blanks between them and before
/// a text, and whether the text comes before the calls.
fn nameless(parts: &[Part]) -> Vec<Part> {
    let mut parts = parts.to_vec();
    for part in &mut parts {
        match &mut part.content {
            Content::ToolCall(call) => {
                call.id.clear();
                call.arguments = value(&call.arguments).to_string();
            }
            Content::Text(said) => said.text = said.text.trim_start().to_owned(),
            _ => {}
        }
    }
    parts.sort_by_key(|part| part.as_tool_call().is_some());
    parts
}

/// What became of one answer.
fn check(template: &Template, answer: &[Part]) -> Result<(), String> {
    let tools = [weather()];
    let options = |add_generation_prompt| {
        let now = Some(Now { unix_s: 0, utc_offset_s: 0 });
        RenderOptions { add_generation_prompt, now, ..Default::default() }
    };
    let message = |parts: &[Part]| Message::new(Role::Assistant, parts.to_vec());
    let user = Message::user("Rain?");
    let render = |messages: &[Message], prompt: bool| {
        let rendered = template.render(messages, &tools, &options(prompt));
        // Some only show calls of tools that the caller's own system prompt describes.
        let rendered = rendered.or_else(|_| template.render(messages, &[], &options(prompt)));
        rendered.map(|rendered| rendered.text())
    };
    let asked = render(std::slice::from_ref(&user), true).map_err(|e| format!("silent: {e}"))?;
    let whole = render(&[user.clone(), message(answer)], false);
    let whole = whole.map_err(|e| format!("silent: {e}"))?;
    // A prompt may decide what a past turn shows otherwise: then the answer begins where they part.
    let mut same = asked.bytes().zip(whole.bytes()).take_while(|(a, b)| a == b).count();
    if same < asked.len() {
        while !whole.is_char_boundary(same) {
            same -= 1;
        }
        same = whole[..same].rfind(['>', '\n', ']']).map_or(0, |at| at + 1);
    }
    let (prompt, said) = whole.split_at(same);
    let calls = |part: &&Part| part.as_tool_call().is_some();
    let shows = |part: &Part| match &part.content {
        Content::Text(part) | Content::Reasoning(part) => said.contains(&part.text),
        _ => said.matches("get_weather").count() >= answer.iter().filter(calls).count(),
    };
    if !answer.iter().all(shows) {
        return Err("silent: a past turn does not show all of it".into());
    }
    let ends = ENDS.iter().filter_map(|end| said.find(end));
    // This one also stands between a text and its call.
    let ends = ends.chain(said.rfind("<|message_sep|>\n\n"));
    let said = said[..ends.min().unwrap_or(said.len())].trim_end();
    let said = said.strip_prefix("<|CHATBOT_TOKEN|>").unwrap_or(said);
    let read = |prompt: &str| {
        let format = OutputFormat::new(template.source(), prompt, &tools);
        let (_, whole, _) = run(said.as_bytes(), &format, &[], || usize::MAX);
        let (_, bytes, _) = run(said.as_bytes(), &format, &[], || 1);
        assert_eq!(whole, bytes);
        whole
    };
    let (mut got, full) = (read(prompt), read(&asked));
    if nameless(&full) == nameless(answer) {
        got = full;
    }
    if nameless(&got) != nameless(answer) {
        return Err(format!("{said:?} after {:?} was read {got:?}", asked.lines().last()));
    }
    // The ids are not the model's to choose, where its family writes none.
    let mut ids = answer.iter().filter_map(Part::as_tool_call).map(|call| call.id.clone());
    for part in &mut got {
        if let Content::ToolCall(call) = &mut part.content {
            call.id = ids.next().unwrap_or_default();
        }
    }
    let again = render(&[user, message(&got)], false).map_err(|e| e.to_string())?;
    if again != whole {
        return Err(format!("{whole:?} was rendered again as {again:?}"));
    }
    Ok(())
}

#[test]
fn answers_read_and_rendered_again_are_the_same_text() {
    let paths = templates();
    if paths.is_empty() {
        // `eprintln!` would be captured: a test that checked nothing would look like one that did.
        let skipped = "SKIPPED: answers_read_and_rendered_again_are_the_same_text: there are no \
                       templates of llama.cpp here; `cargo xtask peers` fetches them";
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        return;
    }
    let tokenizer = tokenizer();
    let mut wrong = Vec::new();
    let mut silent: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut n_right = 0;
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Ok(template) = Template::parse(&std::fs::read_to_string(&path).unwrap(), &tokenizer)
        else {
            silent.entry(name).or_default().push("does not parse");
            continue;
        };
        for (what, answer) in answers() {
            match check(&template, &answer) {
                Ok(()) => n_right += 1,
                Err(why) if why.starts_with("silent") => {
                    silent.entry(name.clone()).or_default().push(what)
                }
                Err(_) if ODD.iter().any(|odd| (odd.0, odd.1) == (name.as_str(), what)) => {}
                Err(why) => wrong.push(format!("{name}, {what}: {why}")),
            }
        }
    }
    println!("{n_right} answers are the same; silent: {silent:#?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A template of our own: what stands around reasoning, around a section of calls, and how a call
/// `f` is written.
fn mini(thought: [&str; 2], section: [&str; 2], call: &str) -> String {
    let ([think, thought], [open, close]) = (thought, section);
    format!(
        "{{% for m in messages %}}<|{{{{ m.role }}}}|>{{% if m.reasoning_content %}}{think}\
         {{{{ m.reasoning_content }}}}{thought}{{% endif %}}{{{{ m.content }}}}\
         {{% if m.tool_calls %}}{open}{{% for c in m.tool_calls %}}{{% set f = c.function %}}{call}\
         {{% endfor %}}{close}{{% endif %}}<EOS>{{% endfor %}}\
         {{% if add_generation_prompt %}}<|assistant|>{{% endif %}}{{# {{{{ tools }}}} #}}"
    )
}

const JSON: &str = "{\"name\": \"{{ f.name }}\", \"arguments\": {{ f.arguments | tojson }}}";
const EACH: &str = "{% for k, v in f.arguments.items() %}";
const VALUE: &str = "{{ v if v is string else v | tojson }}";

#[test]
fn templates_of_our_own_give_the_same_text_again() {
    let think = ["<think>", "</think>"];
    let minis = [
        mini(think, ["", ""], &format!("\n<tool_call>{JSON}</tool_call>")),
        mini(
            think,
            ["", ""],
            &format!(
                "<tool_call><function={{{{ f.name }}}}>{EACH}<parameter={{{{ k }}}}>\n{VALUE}\n\
                 </parameter>{{% endfor %}}</function></tool_call>"
            ),
        ),
        mini(
            think,
            ["", ""],
            &format!(
                "<tool_call>{{{{ f.name }}}}{EACH}<arg_key>{{{{ k }}}}</arg_key>\n\
                 <arg_value>{VALUE}</arg_value>{{% endfor %}}</tool_call>"
            ),
        ),
        mini(
            think,
            ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"],
            "<｜tool▁call▁begin｜>{{ f.name }}<｜tool▁sep｜>{{ f.arguments | tojson }}\
             <｜tool▁call▁end｜>",
        ),
        mini(
            think,
            ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
            "<|tool_call_begin|>functions.{{ f.name }}:{{ loop.index0 }}\
             <|tool_call_argument_begin|>{{ f.arguments | tojson }}<|tool_call_end|>",
        ),
        mini(
            ["<|START_THINKING|>", "<|END_THINKING|>"],
            ["<|START_ACTION|>[", "]<|END_ACTION|>"],
            &format!("{JSON}{{% if not loop.last %}}, {{% endif %}}"),
        ),
        mini(
            ["[THINK]", "[/THINK]"],
            ["", ""],
            "[TOOL_CALLS]{{ f.name }}[ARGS]{{ f.arguments | tojson }}",
        ),
    ];
    let tokenizer = tokenizer();
    for source in minis {
        let template = Template::parse(&source, &tokenizer).unwrap();
        for (what, answer) in answers() {
            check(&template, &answer).unwrap_or_else(|why| panic!("{source}: {what}: {why}"));
        }
    }
}

//! Each family's form: what is read, what stays text, and that no cut of the stream matters.

use super::*;

/// A row: words of the template, the prompt's end, an answer, and its parts as one line.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Parts as one line: `think(…) say(…) id=name{…}`, calls without an id of their own as `name{…}`.
fn line(parts: &[Part]) -> String {
    let one = |part: &Part| match &part.content {
        Content::Text(said) => format!("say({})", said.text),
        Content::Reasoning(thought) => format!("think({})", thought.text),
        Content::ToolCall(call) if call.id.starts_with("call0") => {
            format!("{}{}", call.name, value(&call.arguments))
        }
        Content::ToolCall(call) => format!("{}={}{}", call.id, call.name, value(&call.arguments)),
        other => panic!("{other:?}"),
    };
    parts.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn tools() -> Vec<Tool> {
    let properties = json!({ "s": { "type": "string" }, "n": { "type": "integer" } });
    vec![tool("f", properties), tool("g", json!({}))]
}

const HARMONY: &str = "<|channel|>analysis<|message|> <|call|>";
const KIMI: &str = "<|tool_calls_section_begin|>";
const DEEPSEEK: &str = "<｜tool▁calls▁begin｜>";
const COHERE: &str = "<|START_THINKING|><|START_ACTION|>";

const ROWS: &[Row] = &[
    (
        HARMONY,
        "<|start|>assistant",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
        "think(Hm.) say(Yes.)",
    ),
    (
        HARMONY,
        "<|start|>assistant",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>\
         Let me see.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json\
         <|message|>{\"n\": 1}",
        "think(Hm.) say(Let me see.) f{\"n\":1}",
    ),
    (
        HARMONY,
        "<|start|>assistant",
        " to=functions.f<|channel|>commentary json<|message|>{\"s\": \"<|x|>\"}<|call|>",
        "f{\"s\":\"<|x|>\"}",
    ),
    (
        HARMONY,
        "<|start|>assistant",
        " to=functions.f<|channel|>commentary json<|message|>{\"s\": ",
        "say( to=functions.f<|channel|>commentary json<|message|>{\"s\": )",
    ),
    (
        KIMI,
        "",
        "So: <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0\
         <|tool_call_argument_begin|>\
         {\"n\": 1}<|tool_call_end|><|tool_call_begin|>functions.a.b:1\
         <|tool_call_argument_begin|>{}\
         <|tool_call_end|><|tool_calls_section_end|>",
        "say(So:) functions.f:0=f{\"n\":1} functions.a.b:1=a.b{}",
    ),
    (
        KIMI,
        "",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}\
         <|tool_call_end|> <|tool_call_begin|>x<|tool_call_end|><|tool_calls_section_end|>",
        "functions.f:0=f{} say( <|tool_call_begin|>x<|tool_call_end|><|tool_calls_section_end|>)",
    ),
    (
        DEEPSEEK,
        "",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"n\": 1}\n```\
         <｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "f{\"n\":1} g{}",
    ),
    (
        "｜DSML｜ </think>",
        "<think>",
        "Hm.</think>\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n\
         <｜DSML｜parameter name=\"x\" string=\"true\">1</｜DSML｜parameter>\n\
         <｜DSML｜parameter name=\"y\" string=\"false\">[1]</｜DSML｜parameter>\n\
         </｜DSML｜invoke>\n</｜DSML｜function_calls>",
        "think(Hm.) f{\"x\":\"1\",\"y\":[1]}",
    ),
    (
        COHERE,
        "<|START_THINKING|>",
        "Hm.<|END_THINKING|><|START_ACTION|>[\n{\"tool_call_id\": \"0\", \"tool_name\": \"f\", \
         \"parameters\": {\"n\": 1}}\n]<|END_ACTION|>",
        "think(Hm.) 0=f{\"n\":1}",
    ),
    (
        COHERE,
        "",
        "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>",
        "think(Hm.) say(Yes.)",
    ),
    (
        "<tool_call> </think> <arg_key>",
        "",
        "\n<think>Hm.</think>\n<tool_call>f\n<arg_key>s</arg_key>\n<arg_value>12</arg_value>\n\
         <arg_key>n</arg_key>\n<arg_value>12</arg_value>\n<arg_key>o</arg_key>\n\
         <arg_value>{\"a\": [1]}</arg_value>\n</tool_call>\n<tool_call>g\n</tool_call>",
        "think(Hm.) f{\"s\":\"12\",\"n\":12,\"o\":{\"a\":[1]}} g{}",
    ),
    (
        "<tool_call>",
        "",
        "<tool_call>\n<function=f>\n<parameter=s>\n a\n\nb \n</parameter>\n<parameter=n>\n-3\n\
         </parameter>\n</function>\n</tool_call>",
        "f{\"s\":\" a\\n\\nb \",\"n\":-3}",
    ),
    (
        "<seed:think> <seed:tool_call>",
        "",
        "<seed:think>Hm.</seed:think>\n<seed:tool_call>\n<function=f>\n<parameter=s>True\
         </parameter>\
         \n<parameter=d>{'a': [1, True, None]}</parameter>\n</function>\n</seed:tool_call>",
        "think(Hm.) f{\"s\":\"True\",\"d\":{\"a\":[1,true,null]}}",
    ),
    (
        "<minimax:tool_call> </think>",
        "<think>\n",
        "Hm.\n</think>\n\n<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"n\">1\
         </parameter>\n</invoke>\n<invoke name=\"g\">\n</invoke>\n</minimax:tool_call>",
        "think(Hm.) f{\"n\":1} g{}",
    ),
    (
        "<tool_calls>",
        "",
        "<tool_calls>\n{\"name\": \"f\", \"arguments\": {\"n\": 1}}\n{\"name\": \"g\"}\n\
         </tool_calls>",
        "f{\"n\":1} g{}",
    ),
    (
        "<param name=",
        "",
        "<function name=\"f\"><param name=\"s\"><![CDATA[a < b\n]]></param><param name=\"n\">1\
         </param>\
         </function>\n<function name=\"g\"></function>",
        "f{\"s\":\"a < b\\n\",\"n\":1} g{}",
    ),
    (
        "<|channel> <|tool_call>",
        "",
        "<|channel>thought\nHm.\n<channel|><|tool_call>call:f{n:1,o:{a:[1,true]},s:<|\"|>a \"b\" {\
         <|\"|>}<tool_call|><|tool_call>call:g{}<tool_call|>",
        "think(Hm.) f{\"n\":1,\"o\":{\"a\":[1,true]},\"s\":\"a \\\"b\\\" {\"} g{}",
    ),
    (
        "List of tools: ",
        "",
        "<|tool_call_start|>[f(s='it\\'s', n=3), g()]<|tool_call_end|>Done.",
        "f{\"s\":\"it's\",\"n\":3} g{} say(Done.)",
    ),
    ("[func_name1(", "", " [f(n=1), g()]\n", "f{\"n\":1} g{}"),
    ("[func_name1(", "", "[1] says it.", "say([1] says it.)"),
    (
        "<|tools_prefix|>",
        "",
        "<|tools_prefix|>[{\"f\": {\"n\": 1}}, {\"g\": {}}]<|tools_suffix|>",
        "f{\"n\":1} g{}",
    ),
    (
        "<|tool_calls|><|tool_call:begin|> <|begin|>assistant<|content|>",
        "<|begin|>assistant",
        "<|think|>Hm.<|end|><|begin|>assistant<|content|>So.<|end|><|begin|>assistant<|tool_calls|>\
         <|tool_call:begin|>a1<|tool_call:name|>f<|tool_call:args|>{}<|tool_call:end|>",
        "think(Hm.) say(So.) a1=f{}",
    ),
    (
        "<|open|><|close|>",
        "<|open|>think<|sep|>",
        "Hm.<|close|>think<|sep|><|open|>response<|sep|>So.<|close|>response<|sep|><|open|>tools\
         <|sep|><|open|>call tool=\"f\" index=\"1\"<|sep|>\
         <|open|>argument key=\"x\" type=\"string\"\
         <|sep|>1<|close|>argument<|sep|><|open|>argument key=\"y\" type=\"number\"<|sep|>1\
         <|close|>\
         argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|>",
        "think(Hm.) say(So.) f{\"x\":\"1\",\"y\":1}",
    ),
    (
        "]<]minimax[>[ <mm:think>",
        "",
        "<mm:think>Hm.</mm:think>]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name=\"f\">\
         ]<]minimax[>[<s>1 <b>]<]minimax[>[</s>]<]minimax[>[<l>]<]minimax[>[<item>1]<]minimax[>[\
         </item>]<]minimax[>[<item>x]<]minimax[>[</item>]<]minimax[>[</l>]<]minimax[>[</invoke>\n\
         ]<]minimax[>[</tool_call>",
        "think(Hm.) f{\"s\":\"1 <b>\",\"l\":[1,\"x\"]}",
    ),
    (
        "[TOOL_CALLS] [THINK]",
        "",
        "[THINK]Hm.[/THINK]So.[TOOL_CALLS]f[ARGS]{\"n\": 1}[TOOL_CALLS]g[CALL_ID]abcdefghi[ARGS]{}",
        "think(Hm.) say(So.) f{\"n\":1} abcdefghi=g{}",
    ),
    (
        "[TOOL_CALLS]",
        "",
        "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}, \"id\": \"123456789\"}, \
         {\"name\": \"g\"}]",
        "123456789=f{} g{}",
    ),
    (
        ">>>all",
        ">>>",
        "all\nLet me see.>>>f\n{\"n\": 1}>>>g\n{}",
        "say(Let me see.) f{\"n\":1} g{}",
    ),
    (">>>all", ">>>", "all\nIn Python:\n>>> f(1)\n2", "say(In Python:\n>>> f(1)\n2)"),
    (">>>all", ">>>", "f\n{\"n\": ", "say(f\n{\"n\": )"),
    (
        "<function=",
        "",
        "<function=f>{\"n\": 1}</function><function=g>{}</function>",
        "f{\"n\":1} g{}",
    ),
    ("functools[", "", " functools[{\"name\": \"f\", \"arguments\": {}}]", "f{}"),
    ("functools[", "", "import functools", "say(import functools)"),
    ("Action: directly-answer", "", "Action: ```json\n[{\"tool_name\": \"f\"}]\n```", "f{}"),
    (
        "<|function_call|>",
        "",
        "So.<|function_call|>{\"name\": \"f\", \"arguments\": {}}",
        "say(So.) f{}",
    ),
    ("<TOOLCALL>", "", "<TOOLCALL>[{\"name\": \"f\"}]</TOOLCALL>", "f{}"),
    ("<|tool_call|>", "", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]", "f{}"),
    ("<|/tool|>", "", "<|tool_call|>[{\"name\": \"f\"}]<|/tool_call|>", "f{}"),
    (
        "Here are [BEGIN FINAL RESPONSE] <tool_calls>",
        "Here are my reasoning steps:\n",
        "Hm.\n[BEGIN FINAL RESPONSE]\nSo.\n<tool_calls>[{\"name\": \"f\"}]</tool_calls>",
        "think(Hm.) say(So.) f{}",
    ),
    (
        r#"{"name": function name, "parameters": x} </think>"#,
        "",
        "<think>Hm.</think>\n{\"name\": \"f\", \"parameters\": {}}",
        "think(Hm.) f{}",
    ),
    (
        r#"{"name": function name, "parameters": x}"#,
        "",
        " {\"a\": 1} is JSON",
        "say( {\"a\": 1} is JSON)",
    ),
];

#[test]
fn each_family_s_form_is_read_wherever_tokens_end() {
    for (words, prompt, answer, want) in ROWS {
        let format = OutputFormat::new(words, prompt, &tools());
        let (got, state) = parts(answer.as_bytes(), &format, &[]);
        assert_eq!((line(&got).as_str(), state), (*want, OutputState::Open), "{words}: {answer}");
    }
}

#[test]
fn no_piece_shows_a_part_of_a_mark_that_comes_true() {
    for (words, prompt, answer, want) in ROWS.iter().filter(|row| !row.3.contains("say(")) {
        let format = OutputFormat::new(words, prompt, &tools());
        let (events, ..) = run(answer.as_bytes(), &format, &[], || 1);
        let is_text = |event: &Event| matches!(event, Event::Text { .. });
        assert!(!events.iter().any(is_text), "{words}: {want}");
    }
}

#[test]
fn a_call_is_reported_before_its_section_ends() {
    let format = OutputFormat::new(KIMI, "", &tools());
    let mut output = OutputStream::new(format, &[], "call".into());
    let mut sink = Collect::default();
    let first = "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0\
                 <|tool_call_argument_begin|>{}<|tool_call_end|>";
    output.push(first.as_bytes(), &mut sink);
    assert_eq!(sink.events.len(), 1);
}

/// Pieces of marks and bodies in any order: every cut gives the same parts, nothing panics, and a
/// text without marks comes out as it went in.
#[test]
fn any_mixture_of_pieces_gives_the_same_parts_however_it_is_cut() {
    let cut = |text: &str| -> Vec<String> {
        let bounds = |(i, c): (usize, char)| "<>|[]{}\n :=\"".contains(c).then_some(i);
        let mut at: Vec<usize> = text.char_indices().filter_map(bounds).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).collect()
    };
    for (row, (words, prompt, answer, _)) in ROWS.iter().enumerate() {
        let mut pieces = cut(answer);
        pieces.extend([answer.to_string(), "\n".into(), " ".into(), "é".into(), "f".into()]);
        let format = OutputFormat::new(words, prompt, &tools());
        for seed in 0..12 {
            let pick = |n| {
                let at = uniform(seed * 100 + row as u64, n) * pieces.len() as f64;
                pieces[at as usize].as_str()
            };
            let text: String = (0..16).map(pick).collect();
            parts(text.as_bytes(), &format, &[]);
        }
        let (plain, _) = parts("plain é text, 1 < 2 \n".as_bytes(), &format, &[]);
        if prompt.is_empty() {
            assert_eq!(line(&plain), "say(plain é text, 1 < 2 \n)", "{words}");
        }
    }
}

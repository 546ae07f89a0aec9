//! The forms in which families write their reasoning and their tool calls: two tables.
//!
//! A family's template shows its form, since earlier turns are written in it, or names it in what
//! it says to the model. The first row whose words all stand in the template is the family's. A new
//! family is a new row; how a call's body is read tells [`super::shape`].
//!
//! A mark is text, whatever tokens spell it. Where marks are control tokens, which no text can
//! hold, reasoning is found anywhere in an answer; elsewhere only at the very start, so that a text
//! *about* a tag stays text.

use super::shape::Shape;

/// How reasoning is written.
#[derive(Debug)]
pub(crate) struct Reasoning {
    /// Words of a template that tell the form: all of them.
    told_by: &'static [&'static str],
    pub open: &'static str,
    pub close: &'static str,
    /// Whether it may come after the answer has begun.
    pub anywhere: bool,
    /// Marks around an answer that are no part of it.
    pub passed: &'static [&'static str],
}

/// How calls of tools are written.
#[derive(Debug)]
pub(crate) struct Calls {
    /// Words of a template that tell the form: all of them.
    told_by: &'static [&'static str],
    /// What begins a section of calls. [`BARE_OBJECT`] and its kin only begin an answer, and are
    /// part of the call.
    pub open: &'static [&'static str],
    /// What ends each call of a section, if calls are told before the section ends.
    pub each: Option<&'static str>,
    /// What ends a section; where there is nothing, the next section or the answer's end does.
    pub close: &'static [&'static str],
    /// How the body, or each call, can be written. A shape has `open` and `close` left off.
    pub shapes: &'static [Shape],
    /// Marks around an answer that are no part of it.
    pub passed: &'static [&'static str],
    /// Control tokens within a call that stand in no shape.
    pub inner: &'static [&'static str],
}

/// An answer that is one JSON object and nothing else (Llama 3).
pub(crate) const BARE_OBJECT: &str = "{";
/// An answer that is one list and nothing else (Llama 4).
pub(crate) const BARE_LIST: &str = "[";

const fn think(
    told_by: &'static [&'static str],
    open: &'static str,
    close: &'static str,
) -> Reasoning {
    Reasoning { told_by, open, close, anywhere: false, passed: &[] }
}

impl Reasoning {
    const fn anywhere(self) -> Self {
        Reasoning { anywhere: true, ..self }
    }

    const fn passing(self, passed: &'static [&'static str]) -> Self {
        Reasoning { passed, ..self }
    }
}

const fn calls(
    told_by: &'static [&'static str],
    open: &'static [&'static str],
    close: &'static [&'static str],
    shapes: &'static [Shape],
) -> Calls {
    Calls { told_by, open, each: None, close, shapes, passed: &[], inner: &[] }
}

impl Calls {
    const fn each(self, each: &'static str) -> Self {
        Calls { each: Some(each), ..self }
    }

    const fn passing(self, passed: &'static [&'static str]) -> Self {
        Calls { passed, ..self }
    }

    const fn holding(self, inner: &'static [&'static str]) -> Self {
        Calls { inner, ..self }
    }
}

/// The first that fits is a family's. (A table: longer lines than elsewhere.)
static REASONING: &[Reasoning] = &[
    // gpt-oss: every message of an answer has a channel.
    think(&["<|channel|>analysis<|message|>"], "<|channel|>analysis<|message|>", "<|end|>")
        .anywhere()
        .passing(&[
            "<|start|>assistant",
            "<|channel|>final<|message|>",
            "<|channel|>final <|constrain|>json<|message|>",
            "<|channel|>commentary<|message|>",
            "<|channel|>commentary to=assistant",
            "<|end|>",
            "<|return|>",
        ]),
    // Muse: every message of an answer has a reader.
    think(&["assistant to=self<|message|>"], "<|start|>assistant to=self<|message|>", "<|eom|>")
        .anywhere()
        .passing(&[
            "<|start|>assistant<|message|>",
            "<|start|>assistant to=user<|message|>",
            "<|eom|>",
        ]),
    // Gemma 4.
    think(&["<|channel>"], "<|channel>thought", "<channel|>").anywhere(),
    // Command R7B, Command A.
    think(&["<|START_THINKING|>"], "<|START_THINKING|>", "<|END_THINKING|>").anywhere().passing(&[
        "<|START_RESPONSE|>",
        "<|END_RESPONSE|>",
        "<|START_TEXT|>",
        "<|END_TEXT|>",
    ]),
    // Solar Open.
    think(&["<|begin|>assistant", "<|content|>"], "<|think|>", "<|end|>").anywhere().passing(&[
        "<|begin|>assistant",
        "<|content|>",
        "<|end|>",
    ]),
    // Kimi K3.
    think(&["<|open|>", "<|close|>"], "<|open|>think<|sep|>", "<|close|>think<|sep|>")
        .anywhere()
        .passing(&[
            "<|open|>response<|sep|>",
            "<|close|>response<|sep|>",
            "<|close|>message<|sep|>",
        ]),
    // Apertus.
    think(&["<|inner_prefix|>"], "<|inner_prefix|>", "<|inner_suffix|>").anywhere(),
    // MiniMax M3, Hunyuan 3, Seed-OSS, Mistral, Apriel.
    think(&["<mm:think>"], "<mm:think>", "</mm:think>"),
    think(&["<think{}>", ":opensource"], "<think:opensource>", "</think:opensource>"),
    think(&["<seed:think>"], "<seed:think>", "</seed:think>"),
    think(&["[THINK]"], "[THINK]", "[/THINK]"),
    think(&["[BEGIN FINAL RESPONSE]"], "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]")
        .passing(&["[END FINAL RESPONSE]"]),
    // Granite 3.
    think(&["<think></think>", "<response></response>"], "<think>", "</think>")
        .passing(&["<response>", "</response>"]),
    // Qwen, DeepSeek, GLM, Nemotron and most others.
    think(&["</think>"], "<think>", "</think>"),
];

const FUNCTION_TAGS: Shape = Shape::Tags(
    "<function={name}>{arguments}</function>",
    &["<parameter={key}>{lines}</parameter>"],
);
const ARGUMENT_TAGS: Shape = Shape::Tags(
    "{name}{arguments}",
    &["<arg_key>{key}</arg_key>{ }<arg_value>{value}</arg_value>"],
);
const ATEM_TAGS: &[&str] = &["<atem:parameter name=\"{key}\">{value}</atem:parameter>"];

/// The first that fits is a family's. (A table: longer lines than elsewhere.)
static CALLS: &[Calls] = &[
    // gpt-oss.
    calls(
        &["<|channel|>analysis<|message|>", "<|call|>"],
        &[
            "<|start|>assistant to=functions.",
            "<|channel|>commentary to=functions.",
            "<|channel|>analysis to=functions.",
        ],
        &["<|call|>"],
        &[
            Shape::Tags("{name}<|channel|>{_}<|message|>{json}", &[]),
            Shape::Tags("{name} {_}<|message|>{json}", &[]),
            Shape::Tags("{name}<|message|>{json}", &[]),
        ],
    )
    .holding(&["<|constrain|>"]),
    // Muse.
    calls(
        &["<atem:invoke"],
        &["<|start|>assistant to="],
        &["</atem:function_calls>"],
        &[
            Shape::Tags(
                "{_}<|message|><atem:function_calls>{ }<atem:invoke name=\"{name}\">{arguments}\
                 </atem:invoke>",
                ATEM_TAGS,
            ),
            Shape::Tags("<atem:invoke name=\"{name}\">{arguments}</atem:invoke>", ATEM_TAGS),
        ],
    )
    .each("</atem:invoke>"),
    // Gemma 4.
    calls(
        &["<|tool_call>"],
        &["<|tool_call>"],
        &["<tool_call|>"],
        &[Shape::Tags("call:{name}{object}", &[])],
    )
    .holding(&["<|\"|>"]),
    // Command R7B, Command A; Command R+.
    calls(&["<|START_ACTION|>"], &["<|START_ACTION|>"], &["<|END_ACTION|>"], &[Shape::Json]),
    calls(&["Action:", "directly-answer"], &["Action:"], &[], &[Shape::Json]),
    // Solar Open.
    calls(
        &["<|tool_calls|>", "<|tool_call:begin|>"],
        &["<|tool_calls|>"],
        &["<|calls|>"],
        &[Shape::Tags(
            "<|tool_call:begin|>{id}<|tool_call:name|>{name}<|tool_call:args|>{json}\
             <|tool_call:end|>",
            &[],
        )],
    )
    .each("<|tool_call:end|>"),
    // Kimi K2 and K3.
    calls(
        &["<|tool_calls_section_begin|>"],
        &["<|tool_calls_section_begin|>"],
        &["<|tool_calls_section_end|>"],
        &[Shape::Tags(
            "<|tool_call_begin|>{path}<|tool_call_argument_begin|>{json}<|tool_call_end|>",
            &[],
        )],
    )
    .each("<|tool_call_end|>"),
    calls(
        &["<|open|>", "<|close|>"],
        &["<|open|>tools<|sep|>"],
        &["<|close|>tools<|sep|>"],
        &[Shape::Tags(
            "<|open|>call tool=\"{name}\" index=\"{_}\"<|sep|>{arguments}<|close|>call<|sep|>",
            &["<|open|>argument key=\"{key}\" type=\"{type}\"<|sep|>{value}\
               <|close|>argument<|sep|>"],
        )],
    )
    .each("<|close|>call<|sep|>"),
    // Apertus.
    calls(&["<|tools_prefix|>"], &["<|tools_prefix|>"], &["<|tools_suffix|>"], &[Shape::Keyed]),
    // MiniMax M3, M2 and M1; Apriel writes calls as M1 does.
    calls(
        &["]<]minimax[>["],
        &["]<]minimax[>[<tool_call>"],
        &["]<]minimax[>[</tool_call>"],
        &[Shape::Nested("]<]minimax[>[")],
    )
    .each("]<]minimax[>[</invoke>"),
    calls(
        &["<minimax:tool_call>"],
        &["<minimax:tool_call>"],
        &["</minimax:tool_call>"],
        &[Shape::Tags(
            "<invoke name=\"{name}\">{arguments}</invoke>",
            &["<parameter name=\"{key}\">{value}</parameter>"],
        )],
    )
    .each("</invoke>"),
    calls(&["<tool_calls>"], &["<tool_calls>"], &["</tool_calls>"], &[Shape::Json]),
    // Hunyuan 3.
    calls(
        &["<tool_sep{}>", ":opensource"],
        &["<tool_calls:opensource>"],
        &["</tool_calls:opensource>"],
        &[Shape::Tags(
            "<tool_call:opensource>{name}<tool_sep:opensource>{arguments}</tool_call:opensource>",
            &["<arg_key:opensource>{key}</arg_key:opensource>{ }\
               <arg_value:opensource>{value}</arg_value:opensource>"],
        )],
    )
    .each("</tool_call:opensource>"),
    // Seed-OSS.
    calls(
        &["<seed:tool_call>"],
        &["<seed:tool_call>"],
        &["</seed:tool_call>"],
        &[Shape::Tags(
            "<function={name}>{arguments}</function>",
            &["<parameter={key}>{value}</parameter>"],
        )],
    ),
    // DeepSeek R1 and V3, V3.1; V3.2 and V4.
    calls(
        &["<｜tool▁calls▁begin｜>"],
        &["<｜tool▁calls▁begin｜>"],
        &["<｜tool▁calls▁end｜>"],
        &[
            Shape::Tags(
                "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}```json{json}```<｜tool▁call▁end｜>",
                &[],
            ),
            Shape::Tags("<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{json}<｜tool▁call▁end｜>", &[]),
        ],
    )
    .each("<｜tool▁call▁end｜>"),
    calls(
        &["｜DSML｜"],
        &["<｜DSML｜function_calls>", "<｜DSML｜tool_calls>"],
        &["</｜DSML｜function_calls>", "</｜DSML｜tool_calls>"],
        &[Shape::Tags(
            "<｜DSML｜invoke name=\"{name}\">{arguments}</｜DSML｜invoke>",
            &["<｜DSML｜parameter name=\"{key}\" string=\"{type}\">{value}</｜DSML｜parameter>"],
        )],
    )
    .each("</｜DSML｜invoke>"),
    // FireFunction v2; Functionary v3.2.
    calls(&["functools["], &["functools["], &[], &[Shape::Items]),
    calls(&[">>>all"], &[">>>"], &[], &[Shape::Tags("{name}\n{json}", &[])]).passing(&[">>>all\n"]),
    // MiniCPM 5.
    calls(
        &["<param name="],
        &["<function name=\""],
        &["</function>"],
        &[Shape::Tags(
            "{name}\">{arguments}",
            &[
                "<param name=\"{key}\"><![CDATA[{value}]]></param>",
                "<param name=\"{key}\">{value}</param>",
            ],
        )],
    ),
    // GigaChat 3.1 and 3.
    calls(&["<|function_call|>"], &["<|function_call|>"], &[], &[Shape::Json])
        .passing(&["<|message_sep|>"]),
    calls(&["function call", "<|role_sep|>"], &["function call<|role_sep|>"], &[], &[Shape::Json])
        .passing(&["<|message_sep|>"]),
    // Nemotron Nano 2.
    calls(&["<TOOLCALL>"], &["<TOOLCALL>"], &["</TOOLCALL>"], &[Shape::Json]),
    // LFM 2: two of its templates name the list of tools alone.
    calls(
        &["List of tools: "],
        &["<|tool_call_start|>"],
        &["<|tool_call_end|>"],
        &[Shape::Json, Shape::Python],
    ),
    // Mistral: a list, or a mark for each.
    calls(
        &["[TOOL_CALLS]"],
        &["[TOOL_CALLS]"],
        &[],
        &[
            Shape::Tags("{name}[CALL_ID]{id}[ARGS]{json}", &[]),
            Shape::Tags("{name}[ARGS]{json}", &[]),
            Shape::Json,
        ],
    ),
    // Phi 4 mini; Granite 3.
    calls(&["<|/tool|>"], &["<|tool_call|>"], &["<|/tool_call|>"], &[Shape::Json]),
    calls(&["<|tool_call|>"], &["<|tool_call|>"], &[], &[Shape::Json]),
    // Hermes, Qwen, Granite 4 and most others; with tags Qwen3-Coder, Nemotron 3, GLM 4.5, Laguna.
    calls(
        &["<tool_call>"],
        &["<tool_call>"],
        &["</tool_call>"],
        &[Shape::Json, FUNCTION_TAGS, ARGUMENT_TAGS, Shape::Python],
    ),
    // Functionary v3.1.
    calls(&["<function="], &["<function="], &["</function>"], &[Shape::Tags("{name}>{json}", &[])]),
    // Llama 3 and Llama 4: the whole answer.
    calls(&[r#"{"name": function name, "parameters":"#], &[BARE_OBJECT], &[], &[Shape::Json]),
    calls(&["[func_name1("], &[BARE_LIST], &[], &[Shape::Python, Shape::Json]),
];

fn tells(told_by: &[&str], template: &str) -> bool {
    told_by.iter().all(|words| template.contains(words))
}

/// The form of reasoning in a family whose template this is.
pub(crate) fn reasoning(template: &str) -> Option<&'static Reasoning> {
    REASONING.iter().find(|form| tells(form.told_by, template))
}

/// The form of tool calls in a family whose template this is.
pub(crate) fn calls_of(template: &str) -> Option<&'static Calls> {
    CALLS.iter().find(|form| tells(form.told_by, template))
}

impl Reasoning {
    /// Whether a control token of this text belongs to the form.
    pub fn has(&self, token: &str) -> bool {
        let own = [self.open, self.close];
        own.iter().chain(self.passed).any(|mark| mark.contains(token))
    }
}

impl Calls {
    /// Whether a call is told by being the whole answer.
    pub fn is_bare(&self) -> bool {
        matches!(self.open, [BARE_OBJECT | BARE_LIST])
    }

    /// Whether a control token of this text belongs to the form.
    pub fn has(&self, token: &str) -> bool {
        let marks = [self.open, self.close, self.passed, self.inner];
        let mut marks = marks.into_iter().flatten().chain(&self.each);
        marks.any(|mark| mark.contains(token)) || self.shapes.iter().any(|shape| shape.has(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_can_be_reached() {
        for form in REASONING {
            let told = form.told_by.concat();
            assert!(std::ptr::eq(reasoning(&told).unwrap(), form), "{told}");
        }
        for form in CALLS {
            let told = form.told_by.concat();
            assert!(std::ptr::eq(calls_of(&told).unwrap(), form), "{told}");
        }
        assert!(reasoning("{{ messages }}").is_none() && calls_of("{{ messages }}").is_none());
    }
}

//! The rows: see the parent module. The first row that matches is a family's, so a row whose words
//! other templates contain too comes after theirs.

use super::{
    BARE_LIST, BARE_OBJECT, CALLS, CallFormat, CallHistory, CallNotation, CallSyntax, Family,
    REASONING, ReasoningFormat, UNKNOWN,
};

const FUNCTION_TAGS: CallSyntax = CallSyntax::Pattern(
    "<function={name}>{arguments}</function>",
    &["<parameter={key}>{lines}</parameter>"],
);
const ARGUMENT_TAGS: CallSyntax = CallSyntax::Pattern(
    "{name}{arguments}",
    &["<arg_key>{key}</arg_key>{ }<arg_value>{value}</arg_value>"],
);
const ATEM_TAGS: &[&str] = &["<atem:parameter name=\"{key}\">{value}</atem:parameter>"];

pub(super) static FAMILIES: &[Family] = &[
    // Every message of an answer has a channel.
    Family {
        models: "gpt-oss",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<|channel|>analysis<|message|>"],
            open: "<|channel|>analysis<|message|>",
            close: "<|end|>",
            anywhere: true,
            ignored_tags: &[
                "<|start|>assistant",
                "<|channel|>final<|message|>",
                "<|channel|>final <|constrain|>json<|message|>",
                "<|channel|>commentary<|message|>",
                "<|channel|>commentary to=assistant",
                "<|end|>",
                "<|return|>",
            ],
        }),
        calls: Some(CallFormat {
            template_contains: &["<|channel|>analysis<|message|>", "<|call|>"],
            open: &[
                "<|start|>assistant to=functions.",
                "<|channel|>commentary to=functions.",
                "<|channel|>analysis to=functions.",
            ],
            close: &["<|call|>"],
            syntaxes: &[
                CallSyntax::Pattern("{name}<|channel|>{_}<|message|>{json}", &[]),
                CallSyntax::Pattern("{name} {_}<|message|>{json}", &[]),
                CallSyntax::Pattern("{name}<|message|>{json}", &[]),
            ],
            inner_tags: &["<|constrain|>"],
            ..CALLS
        }),
        end_tokens: &["<|return|>", "<|call|>"],
        ..UNKNOWN
    },
    // Every message of an answer has a recipient.
    Family {
        models: "Muse",
        reasoning: Some(ReasoningFormat {
            template_contains: &["assistant to=self<|message|>"],
            open: "<|start|>assistant to=self<|message|>",
            close: "<|eom|>",
            anywhere: true,
            ignored_tags: &[
                "<|start|>assistant<|message|>",
                "<|start|>assistant to=user<|message|>",
                "<|eom|>",
            ],
        }),
        calls: Some(CallFormat {
            template_contains: &["<atem:invoke"],
            open: &["<|start|>assistant to="],
            call_end: Some("</atem:invoke>"),
            close: &["</atem:function_calls>"],
            syntaxes: &[
                CallSyntax::Pattern(
                    "{_}<|message|><atem:function_calls>{ }<atem:invoke name=\"{name}\">{arguments}\
                 </atem:invoke>",
                    ATEM_TAGS,
                ),
                CallSyntax::Pattern(
                    "<atem:invoke name=\"{name}\">{arguments}</atem:invoke>",
                    ATEM_TAGS,
                ),
            ],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Gemma 4",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<|channel>"],
            open: "<|channel>thought",
            close: "<channel|>",
            anywhere: true,
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["<|tool_call>"],
            open: &["<|tool_call>"],
            close: &["<tool_call|>"],
            syntaxes: &[CallSyntax::Pattern("call:{name}{object}", &[])],
            inner_tags: &["<|\"|>"],
            ..CALLS
        }),
        end_tokens: &["<turn|>", "<|tool_response>"],
        ..UNKNOWN
    },
    Family {
        models: "Command R7B, Command A",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<|START_THINKING|>"],
            open: "<|START_THINKING|>",
            close: "<|END_THINKING|>",
            anywhere: true,
            ignored_tags: &[
                "<|START_RESPONSE|>",
                "<|END_RESPONSE|>",
                "<|START_TEXT|>",
                "<|END_TEXT|>",
            ],
        }),
        calls: Some(CallFormat {
            template_contains: &["<|START_ACTION|>"],
            open: &["<|START_ACTION|>"],
            close: &["<|END_ACTION|>"],
            syntaxes: &[CallSyntax::Json],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Command R+",
        calls: Some(CallFormat {
            template_contains: &["Action:", "directly-answer"],
            open: &["Action:"],
            syntaxes: &[CallSyntax::Json],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Solar Open",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<|begin|>assistant", "<|content|>"],
            open: "<|think|>",
            close: "<|end|>",
            anywhere: true,
            ignored_tags: &["<|begin|>assistant", "<|content|>", "<|end|>"],
        }),
        calls: Some(CallFormat {
            template_contains: &["<|tool_calls|>", "<|tool_call:begin|>"],
            open: &["<|tool_calls|>"],
            call_end: Some("<|tool_call:end|>"),
            close: &["<|calls|>"],
            syntaxes: &[CallSyntax::Pattern(
                "<|tool_call:begin|>{id}<|tool_call:name|>{name}<|tool_call:args|>{json}\
             <|tool_call:end|>",
                &[],
            )],
            ..CALLS
        }),
        end_tokens: &["<|flush|>", "<|calls|>"],
        ..UNKNOWN
    },
    Family {
        models: "Kimi K2",
        calls: Some(CallFormat {
            template_contains: &["<|tool_calls_section_begin|>"],
            open: &["<|tool_calls_section_begin|>"],
            call_end: Some("<|tool_call_end|>"),
            close: &["<|tool_calls_section_end|>"],
            syntaxes: &[CallSyntax::Pattern(
                "<|tool_call_begin|>{path}<|tool_call_argument_begin|>{json}<|tool_call_end|>",
                &[],
            )],
            ..CALLS
        }),
        end_tokens: &["[EOT]", "[EOS]"],
        ..UNKNOWN
    },
    Family {
        models: "Kimi K3",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<|open|>", "<|close|>"],
            open: "<|open|>think<|sep|>",
            close: "<|close|>think<|sep|>",
            anywhere: true,
            ignored_tags: &[
                "<|open|>response<|sep|>",
                "<|close|>response<|sep|>",
                "<|close|>message<|sep|>",
            ],
        }),
        calls: Some(CallFormat {
            template_contains: &["<|open|>", "<|close|>"],
            open: &["<|open|>tools<|sep|>"],
            call_end: Some("<|close|>call<|sep|>"),
            close: &["<|close|>tools<|sep|>"],
            syntaxes: &[CallSyntax::Pattern(
                "<|open|>call tool=\"{name}\" index=\"{_}\"<|sep|>{arguments}<|close|>call<|sep|>",
                &["<|open|>argument key=\"{key}\" type=\"{type}\"<|sep|>{value}\
               <|close|>argument<|sep|>"],
            )],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Apertus",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<|inner_prefix|>"],
            open: "<|inner_prefix|>",
            close: "<|inner_suffix|>",
            anywhere: true,
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["<|tools_prefix|>"],
            open: &["<|tools_prefix|>"],
            close: &["<|tools_suffix|>"],
            syntaxes: &[CallSyntax::JsonKeyed],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "MiniMax M3",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<mm:think>"],
            open: "<mm:think>",
            close: "</mm:think>",
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["]<]minimax[>["],
            open: &["]<]minimax[>[<tool_call>"],
            call_end: Some("]<]minimax[>[</invoke>"),
            close: &["]<]minimax[>[</tool_call>"],
            syntaxes: &[CallSyntax::Elements("]<]minimax[>[")],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "MiniMax M2",
        calls: Some(CallFormat {
            template_contains: &["<minimax:tool_call>"],
            open: &["<minimax:tool_call>"],
            call_end: Some("</invoke>"),
            close: &["</minimax:tool_call>"],
            syntaxes: &[CallSyntax::Pattern(
                "<invoke name=\"{name}\">{arguments}</invoke>",
                &["<parameter name=\"{key}\">{value}</parameter>"],
            )],
            ..CALLS
        }),
        end_tokens: &["[e~["],
        ..UNKNOWN
    },
    Family {
        models: "MiniMax M1, Apriel (calls)",
        calls: Some(CallFormat {
            template_contains: &["<tool_calls>"],
            open: &["<tool_calls>"],
            close: &["</tool_calls>"],
            syntaxes: &[CallSyntax::Json],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Hunyuan 3",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<think{}>", ":opensource"],
            open: "<think:opensource>",
            close: "</think:opensource>",
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["<tool_sep{}>", ":opensource"],
            open: &["<tool_calls:opensource>"],
            call_end: Some("</tool_call:opensource>"),
            close: &["</tool_calls:opensource>"],
            syntaxes: &[CallSyntax::Pattern(
                "<tool_call:opensource>{name}<tool_sep:opensource>{arguments}\
                 </tool_call:opensource>",
                &["<arg_key:opensource>{key}</arg_key:opensource>{ }\
               <arg_value:opensource>{value}</arg_value:opensource>"],
            )],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Seed-OSS",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<seed:think>"],
            open: "<seed:think>",
            close: "</seed:think>",
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["<seed:tool_call>"],
            open: &["<seed:tool_call>"],
            close: &["</seed:tool_call>"],
            syntaxes: &[CallSyntax::Pattern(
                "<function={name}>{arguments}</function>",
                &["<parameter={key}>{value}</parameter>"],
            )],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "DeepSeek R1, V3, V3.1",
        calls: Some(CallFormat {
            template_contains: &["<｜tool▁calls▁begin｜>"],
            open: &["<｜tool▁calls▁begin｜>"],
            call_end: Some("<｜tool▁call▁end｜>"),
            close: &["<｜tool▁calls▁end｜>"],
            syntaxes: &[
                CallSyntax::Pattern(
                    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}```json{json}```\
                     <｜tool▁call▁end｜>",
                    &[],
                ),
                CallSyntax::Pattern(
                    "<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{json}<｜tool▁call▁end｜>",
                    &[],
                ),
            ],
            ..CALLS
        }),
        end_tokens: &["<｜end▁of▁sentence｜>"],
        ..UNKNOWN
    },
    Family {
        models: "DeepSeek V3.2, V4",
        calls: Some(CallFormat {
            template_contains: &["｜DSML｜"],
            open: &["<｜DSML｜function_calls>", "<｜DSML｜tool_calls>"],
            call_end: Some("</｜DSML｜invoke>"),
            close: &["</｜DSML｜function_calls>", "</｜DSML｜tool_calls>"],
            syntaxes: &[CallSyntax::Pattern(
                "<｜DSML｜invoke name=\"{name}\">{arguments}</｜DSML｜invoke>",
                &[
                    "<｜DSML｜parameter name=\"{key}\" string=\"{type}\">{value}</｜DSML｜parameter>",
                ],
            )],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "FireFunction v2",
        calls: Some(CallFormat {
            template_contains: &["functools["],
            open: &["functools["],
            syntaxes: &[CallSyntax::JsonItems],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Functionary v3.2",
        calls: Some(CallFormat {
            template_contains: &[">>>all"],
            open: &[">>>"],
            syntaxes: &[CallSyntax::Pattern("{name}\n{json}", &[])],
            ignored_tags: &[">>>all\n"],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "MiniCPM 5",
        calls: Some(CallFormat {
            template_contains: &["<param name="],
            open: &["<function name=\""],
            close: &["</function>"],
            syntaxes: &[CallSyntax::Pattern(
                "{name}\">{arguments}",
                &[
                    "<param name=\"{key}\"><![CDATA[{value}]]></param>",
                    "<param name=\"{key}\">{value}</param>",
                ],
            )],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "GigaChat 3.1",
        calls: Some(CallFormat {
            template_contains: &["<|function_call|>"],
            open: &["<|function_call|>"],
            syntaxes: &[CallSyntax::Json],
            ignored_tags: &["<|message_sep|>"],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "GigaChat 3",
        calls: Some(CallFormat {
            template_contains: &["function call", "<|role_sep|>"],
            open: &["function call<|role_sep|>"],
            syntaxes: &[CallSyntax::Json],
            ignored_tags: &["<|message_sep|>"],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Nemotron Nano 2",
        calls: Some(CallFormat {
            template_contains: &["<TOOLCALL>"],
            open: &["<TOOLCALL>"],
            close: &["</TOOLCALL>"],
            syntaxes: &[CallSyntax::Json],
            ..CALLS
        }),
        ..UNKNOWN
    },
    // Two of its templates only name the list of tools.
    Family {
        models: "LFM 2",
        calls: Some(CallFormat {
            template_contains: &["List of tools: "],
            open: &["<|tool_call_start|>"],
            close: &["<|tool_call_end|>"],
            syntaxes: &[CallSyntax::Json, CallSyntax::Python],
            ..CALLS
        }),
        history: Some(CallHistory {
            template_contains: "List of tools: ",
            open: "<|tool_call_start|>[",
            close: "]<|tool_call_end|>",
            notation: CallNotation::Python,
        }),
        ..UNKNOWN
    },
    // Calls are a list, or have a tag each.
    Family {
        models: "Mistral",
        reasoning: Some(ReasoningFormat {
            template_contains: &["[THINK]"],
            open: "[THINK]",
            close: "[/THINK]",
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["[TOOL_CALLS]"],
            open: &["[TOOL_CALLS]"],
            syntaxes: &[
                CallSyntax::Pattern("{name}[CALL_ID]{id}[ARGS]{json}", &[]),
                CallSyntax::Pattern("{name}[ARGS]{json}", &[]),
                CallSyntax::Json,
            ],
            ..CALLS
        }),
        end_tokens: &["</s>"],
        ..UNKNOWN
    },
    Family {
        models: "Apriel (reasoning)",
        reasoning: Some(ReasoningFormat {
            template_contains: &["[BEGIN FINAL RESPONSE]"],
            open: "Here are my reasoning steps:",
            close: "[BEGIN FINAL RESPONSE]",
            ignored_tags: &["[END FINAL RESPONSE]"],
            ..REASONING
        }),
        ..UNKNOWN
    },
    Family {
        models: "Phi 3, Phi 4",
        calls: Some(CallFormat {
            template_contains: &["<|/tool|>"],
            open: &["<|tool_call|>"],
            close: &["<|/tool_call|>"],
            syntaxes: &[CallSyntax::Json],
            ..CALLS
        }),
        end_tokens: &["<|end|>"],
        ..UNKNOWN
    },
    Family {
        models: "Granite 3",
        reasoning: Some(ReasoningFormat {
            template_contains: &["<think></think>", "<response></response>"],
            open: "<think>",
            close: "</think>",
            ignored_tags: &["<response>", "</response>"],
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["<|tool_call|>"],
            open: &["<|tool_call|>"],
            syntaxes: &[CallSyntax::Json],
            ..CALLS
        }),
        history: Some(CallHistory {
            template_contains: "respond only with <|tool_call|> followed by a JSON list of \
             tools used",
            open: "<|tool_call|>[",
            close: "]",
            notation: CallNotation::Json,
        }),
        end_tokens: &["<|end_of_text|>"],
        ..UNKNOWN
    },
    // Also Hermes, DeepSeek (reasoning), GLM, Granite 4, Nemotron 3, Laguna and most others.
    Family {
        models: "Qwen",
        reasoning: Some(ReasoningFormat {
            template_contains: &["</think>"],
            open: "<think>",
            close: "</think>",
            ..REASONING
        }),
        calls: Some(CallFormat {
            template_contains: &["<tool_call>"],
            open: &["<tool_call>"],
            close: &["</tool_call>"],
            syntaxes: &[CallSyntax::Json, FUNCTION_TAGS, ARGUMENT_TAGS, CallSyntax::Python],
            ..CALLS
        }),
        end_tokens: &["<|im_end|>", "<|endoftext|>"],
        template: Some(("<|im_start|>", "chatml")),
        ..UNKNOWN
    },
    Family {
        models: "Functionary v3.1",
        calls: Some(CallFormat {
            template_contains: &["<function="],
            open: &["<function="],
            close: &["</function>"],
            syntaxes: &[CallSyntax::Pattern("{name}>{json}", &[])],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family {
        models: "Gemma 2, Gemma 3",
        end_tokens: &["<end_of_turn>", "<eos>"],
        template: Some(("<start_of_turn>", "gemma")),
        ..UNKNOWN
    },
    // A call is the whole answer.
    Family {
        models: "Llama 3",
        calls: Some(CallFormat {
            template_contains: &[r#"{"name": function name, "parameters":"#],
            open: &[BARE_OBJECT],
            syntaxes: &[CallSyntax::Json],
            ..CALLS
        }),
        end_tokens: &["<|eot_id|>", "<|eom_id|>"],
        template: Some(("<|start_header_id|>", "llama3")),
        ..UNKNOWN
    },
    // Calls are the whole answer.
    Family {
        models: "Llama 4",
        calls: Some(CallFormat {
            template_contains: &["[func_name1("],
            open: &[BARE_LIST],
            syntaxes: &[CallSyntax::Python, CallSyntax::Json],
            ..CALLS
        }),
        ..UNKNOWN
    },
    Family { models: "Code Llama", end_tokens: &["<EOT>", "_<EOT>"], ..UNKNOWN },
    Family { models: "SmolVLM", end_tokens: &["<end_of_utterance>"], ..UNKNOWN },
];

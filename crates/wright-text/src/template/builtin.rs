//! Chat templates by name, for models whose files carry none.
//!
//! The formats are those of the families; the wording is our own. Each trims messages, and refuses
//! roles that its family does not know rather than inventing a form for them.

/// Name and source of each.
const TEMPLATES: &[(&str, &str)] = &[
    (
        "chatml",
        "{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\\n' + message.content | trim + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}",
    ),
    (
        "gemma",
        "{{- bos_token -}}
{%- set turns = messages -%}
{%- set preamble = '' -%}
{%- if messages and messages[0].role == 'system' -%}
{%- set turns = messages[1:] -%}
{%- set preamble = messages[0].content | trim + '\\n\\n' -%}
{%- endif -%}
{%- for message in turns -%}
{%- if message.role == 'user' -%}
{{ '<start_of_turn>user\\n' }}{% if loop.first %}{{ preamble }}{% endif %}
{%- elif message.role == 'assistant' -%}
{{ '<start_of_turn>model\\n' }}
{%- else -%}
{{ raise_exception('Gemma knows a system message only at the start, and no ' + message.role) }}
{%- endif -%}
{{ message.content | trim + '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}",
    ),
    (
        "llama2",
        "{%- set turns = messages -%}
{%- set preamble = '' -%}
{%- if messages and messages[0].role == 'system' -%}
{%- set turns = messages[1:] -%}
{%- set preamble = '<<SYS>>\\n' + messages[0].content | trim + '\\n<</SYS>>\\n\\n' -%}
{%- endif -%}
{%- for message in turns -%}
{%- if message.role == 'user' -%}
{{ bos_token + '[INST] ' }}{% if loop.first %}{{ preamble }}{% endif -%}
{{ message.content | trim + ' [/INST]' }}
{%- elif message.role == 'assistant' -%}
{{ ' ' + message.content | trim + ' ' + eos_token }}
{%- else -%}
{{ raise_exception('Llama 2 knows a system message only at the start, and no ' + message.role) }}
{%- endif -%}
{%- endfor -%}",
    ),
    (
        "llama3",
        "{{- bos_token -}}
{%- for message in messages -%}
{%- set role = 'ipython' if message.role == 'tool' else message.role -%}
{{ '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' }}
{{- message.content | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif -%}",
    ),
    (
        "mistral",
        "{{- bos_token -}}
{%- set turns = messages -%}
{%- set preamble = '' -%}
{%- if messages and messages[0].role == 'system' -%}
{%- set turns = messages[1:] -%}
{%- set preamble = messages[0].content | trim + '\\n\\n' -%}
{%- endif -%}
{%- for message in turns -%}
{%- if message.role == 'user' -%}
{{ ' [INST] ' }}{% if loop.first %}{{ preamble }}{% endif -%}
{{ message.content | trim + ' [/INST]' }}
{%- elif message.role == 'assistant' -%}
{{ ' ' + message.content | trim + eos_token }}
{%- else -%}
{{ raise_exception('Mistral knows a system message only at the start, and no ' + message.role) }}
{%- endif -%}
{%- endfor -%}",
    ),
    (
        "phi3",
        "{%- for message in messages -%}
{{ '<|' + message.role + '|>\\n' + message.content | trim + '<|end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\\n' }}{%- endif -%}",
    ),
    (
        "zephyr",
        "{%- for message in messages -%}
{{ '<|' + message.role + '|>\\n' + message.content | trim + eos_token + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\\n' }}{%- endif -%}",
    ),
];

/// The source of the template of that name.
pub(crate) fn source(name: &str) -> Option<&'static str> {
    TEMPLATES.iter().find(|(known, _)| *known == name).map(|&(_, source)| source)
}

/// All names.
pub(crate) fn names() -> Vec<&'static str> {
    TEMPLATES.iter().map(|&(name, _)| name).collect()
}

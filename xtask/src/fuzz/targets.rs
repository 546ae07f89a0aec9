//! The readers of files from strangers, each with sound files to begin with.

use super::{Try, files, folders, logs};
use std::sync::Arc;
use wright_chat::{Message, Role};
use wright_model::gguf_writer::{Field, GgufHeader, TensorHeader};
use wright_model::type_mix::{FileType, MixOptions};
use wright_model::{Bytes, DType, Gguf, Importance, Model, Value, join, requantize};
use wright_text::{Algorithm, RenderOptions, Spec, Template, TokenKind, Tokenizer};

/// A reader.
pub struct Target {
    pub name: &'static str,
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub words: &'static [&'static str],
    pub make: fn() -> Try,
}

pub const TARGETS: &[Target] = &[
    Target { name: "gguf", seeds: gguf_seeds, words: GGUF_WORDS, make: || Box::new(try_gguf) },
    Target {
        name: "safetensors",
        seeds: folders::safetensors_seeds,
        words: folders::SAFETENSORS_WORDS,
        make: || Box::new(folders::try_safetensors),
    },
    Target {
        name: "config",
        seeds: folders::config_seeds,
        words: folders::CONFIG_WORDS,
        make: folders::make_config,
    },
    Target {
        name: "tokenizer",
        seeds: folders::tokenizer_seeds,
        words: folders::TOKENIZER_WORDS,
        make: || Box::new(folders::try_tokenizer),
    },
    Target {
        name: "sentencepiece",
        seeds: folders::sentencepiece_seeds,
        words: &[],
        make: || Box::new(folders::try_sentencepiece),
    },
    Target { name: "template", seeds: template_seeds, words: TEMPLATE_WORDS, make: make_template },
    Target {
        name: "llm-log",
        seeds: logs::llm_seeds,
        words: logs::LLM_WORDS,
        make: logs::make_llm,
    },
    Target {
        name: "html",
        seeds: files::html_seeds,
        words: files::HTML_WORDS,
        make: || files::reading("x.html"),
    },
    Target {
        name: "jsonl",
        seeds: files::jsonl_seeds,
        words: files::JSONL_WORDS,
        make: || files::reading("x"),
    },
    Target {
        name: "pdf",
        seeds: files::pdf_seeds,
        words: files::PDF_WORDS,
        make: || files::reading("x.pdf"),
    },
    Target {
        name: "parquet",
        seeds: files::parquet_seeds,
        words: files::PARQUET_WORDS,
        make: || files::reading("x.parquet"),
    },
    Target {
        name: "archive",
        seeds: files::archive_seeds,
        words: files::ARCHIVE_WORDS,
        make: || files::reading("x"),
    },
];

const GGUF_WORDS: &[&str] = &[
    "GGUF",
    "general.alignment",
    "split.count",
    "llama.block_count",
    "tokenizer.ggml.tokens",
    "blk.0.attn_q.weight",
    "blk.4294967295.ffn_down.weight",
    "qwen3",
    "gemma3",
];

/// A model of one layer, an importance matrix, and a part of a split model.
fn gguf_seeds() -> Vec<Vec<u8>> {
    let mut imatrix = GgufHeader::new();
    imatrix.set("general.type", &Field::Str("imatrix".into()));
    imatrix.set("imatrix.datasets", &Field::Strs(vec!["a".into()]));
    for (name, k) in [("blk.0.attn_q.weight.in_sum2", 32), ("blk.0.attn_q.weight.counts", 1)] {
        let dims = vec![k, 1];
        imatrix.tensors.push(TensorHeader { name: name.into(), dims, dtype: DType::F32 });
    }
    let mut part = GgufHeader::new();
    part.set("split.no", &Field::U16(0));
    part.set("split.count", &Field::U16(1));
    part.tensors.push(TensorHeader { name: "a".into(), dims: vec![8], dtype: DType::F32 });
    [llama(), imatrix, part].iter().map(with_data).collect()
}

fn llama() -> GgufHeader {
    let mut plan = GgufHeader::new();
    plan.set("general.architecture", &Field::Str("llama".into()));
    for (key, value) in [
        ("block_count", 1),
        ("context_length", 64),
        ("embedding_length", 32),
        ("feed_forward_length", 64),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("vocab_size", 8),
    ] {
        plan.set(&format!("llama.{key}"), &Field::U32(value));
    }
    plan.set("llama.attention.layer_norm_rms_epsilon", &Field::F32(1e-5));
    plan.set("tokenizer.ggml.model", &Field::Str("gpt2".into()));
    plan.set("tokenizer.ggml.pre", &Field::Str("smollm".into()));
    let tokens = ["a", "b", "ab", "c", "abc", "<|end|>", "Ġ", "<x>"];
    plan.set("tokenizer.ggml.tokens", &Field::Strs(tokens.map(str::to_owned).to_vec()));
    plan.set("tokenizer.ggml.token_type", &Field::I32s(vec![1, 1, 1, 1, 1, 3, 1, 4]));
    plan.set("tokenizer.ggml.merges", &Field::Strs(vec!["a b".into(), "ab c".into()]));
    plan.set("tokenizer.ggml.eos_token_id", &Field::U32(5));
    plan.set("tokenizer.chat_template", &Field::Str("{{ messages[0].content }}".into()));
    for (name, dims, dtype) in [
        ("token_embd.weight", vec![32, 8], DType::Q8_0),
        ("output_norm.weight", vec![32], DType::F32),
        ("blk.0.attn_norm.weight", vec![32], DType::F32),
        ("blk.0.attn_q.weight", vec![32, 32], DType::F16),
        ("blk.0.attn_k.weight", vec![32, 16], DType::Q4_0),
        ("blk.0.attn_v.weight", vec![32, 16], DType::Q5_1),
        ("blk.0.attn_output.weight", vec![32, 32], DType::BF16),
        ("blk.0.ffn_norm.weight", vec![32], DType::F32),
        ("blk.0.ffn_gate.weight", vec![32, 64], DType::Q4_1),
        ("blk.0.ffn_up.weight", vec![32, 64], DType::IQ4NL),
        ("blk.0.ffn_down.weight", vec![64, 32], DType::Q5_0),
    ] {
        plan.tensors.push(TensorHeader { name: name.into(), dims, dtype });
    }
    plan
}

fn with_data(plan: &GgufHeader) -> Vec<u8> {
    let mut file = plan.encode().unwrap_or_default();
    let len = plan.data_bytes().unwrap_or_default();
    file.extend((0..len).map(|i| (i % 61) as u8));
    file
}

/// Everything that is done with a file before its first token.
fn try_gguf(input: &[u8]) -> bool {
    let bytes: Arc<dyn Bytes> = Arc::new(input.to_vec());
    let Ok(gguf) = Gguf::parse_part(&bytes) else { return false };
    for (_, value) in gguf.metadata.iter() {
        if let Value::Array(array) = value {
            let _ = (array.numbers().count(), array.strings().count());
        }
        let _ = value.to_string();
    }
    let _ = Importance::read(&gguf, input);
    let _ = join::join(&[Arc::clone(&bytes)], &mut std::io::sink());
    let types = ["Q4_K_M", "Q2_K", "F16"].iter().filter_map(|name| FileType::find(name));
    for file_type in types {
        let _ = requantize::plan(&gguf, file_type, &MixOptions::default());
    }
    if let Ok(model) = Model::from_gguf(Arc::clone(&bytes))
        && let Ok(tokenizer) = wright_run::tokenizer(&model)
    {
        let _ = tokenizer.encode_document("abc <x> \u{1f980}");
    }
    true
}

const TEMPLATE_WORDS: &[&str] = &[
    "{% for i in range(999999999) %}",
    "{% endfor %}",
    "{% if true %}",
    "{% endif %}",
    "{% set x = messages %}",
    "{{ messages | tojson }}",
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{{ 'a' * 1000000000 }}",
    "{{ x ~ x ~ x }}",
    "| replace('', 'aaaaaaaa')",
    ".ljust(1000000000)",
    "| list | join('x')",
    "[::-1]",
    "namespace(x=[])",
    "loop.index",
    "raise_exception('x')",
    "strftime_now('%Y')",
    "{%- ",
    " -%}",
    "{#",
    "#}",
];

fn template_seeds() -> Vec<Vec<u8>> {
    [
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m.content | trim }}\
         {% if loop.last %}!{% endif %}<|im_end|>{% endfor %}\
         {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        "{%- set ns = namespace(x='') -%}{%- for m in messages -%}{%- set ns.x = ns.x ~ m.content \
         -%}{%- endfor -%}{{ ns.x | upper | replace('A', 'b') }}{{ messages | length }}",
        "{% macro part(text) %}[{{ text.split(' ')[0] }}]{% endmacro %}\
         {{ part(messages[0].content) }}{% for i in range(3) %}{{ i }}{% endfor %}\
         {{ messages[1:] | tojson }}",
    ]
    .map(|source| source.as_bytes().to_vec())
    .to_vec()
}

/// Renders with a little tokenizer and a conversation of two messages.
fn make_template() -> Try {
    let tokens = ["a", "b", "ab", "<|im_start|>", "<|im_end|>"];
    let mut kinds = vec![TokenKind::Normal; 3];
    kinds.extend([TokenKind::Control; 2]);
    let spec = Spec {
        pre: "gpt-2",
        tokens: tokens.iter().map(|token| token.as_bytes()).collect(),
        kinds,
        merges: vec![b"a b"],
        bos: Some(3),
        eos: Some(4),
        ..Spec::new(Algorithm::ByteBpe)
    };
    let tokenizer = Tokenizer::new(&spec).expect("a sound vocabulary");
    let mut answer = Message::user("an answer");
    answer.role = Role::Assistant;
    let messages = vec![Message::user("hello <|im_end|> there"), answer];
    Box::new(move |input| {
        let Ok(source) = std::str::from_utf8(input) else { return false };
        let Ok(template) = Template::parse(source, &tokenizer) else { return false };
        let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
        template.render(&messages, &[], &options).is_ok()
    })
}

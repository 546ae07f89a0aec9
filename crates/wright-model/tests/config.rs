//! Numbers read from metadata, in all the shapes that writers give them.

mod tiny;

use std::sync::Arc;
use tiny::Writer;
use wright_model::config::Gating;
use wright_model::rope::Scaling;
use wright_model::{Bytes, Config, Error, Gguf, Metadata};

/// A gemma3 or llama of four layers, and what `more` adds.
fn metadata(arch: &str, more: impl FnOnce(&mut Writer, &str)) -> Metadata {
    let mut w = Writer::new(arch);
    w.u32(&format!("{arch}.block_count"), 4)
        .u32(&format!("{arch}.embedding_length"), 64)
        .u32(&format!("{arch}.feed_forward_length"), 96)
        .u32(&format!("{arch}.attention.head_count"), 4)
        .f32(&format!("{arch}.attention.layer_norm_rms_epsilon"), 1e-6);
    more(&mut w, arch);
    let bytes: Arc<dyn Bytes> = Arc::new(w.finish());
    Gguf::parse(&bytes).unwrap().metadata
}

fn config(arch: &str, more: impl FnOnce(&mut Writer, &str)) -> Result<Config, Error> {
    Config::read(&metadata(arch, more), 100)
}

fn array(of: u32, values: &[u32]) -> Vec<u8> {
    let mut bytes = of.to_le_bytes().to_vec();
    bytes.extend((values.len() as u64).to_le_bytes());
    match of {
        7 => bytes.extend(values.iter().map(|&v| v as u8)),
        _ => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
    }
    bytes
}

#[test]
fn what_is_not_said_has_the_family_s_default() {
    let config = config("llama", |_, _| {}).unwrap();
    let heads = config.layers[3].heads;
    assert_eq!((heads.n_head, heads.n_kv_head, heads.key_dim, heads.value_dim), (4, 4, 16, 16));
    assert_eq!((heads.scale, heads.window, heads.soft_cap), (0.25, None, None));
    assert_eq!((config.ropes[0].n_rot, config.ropes[0].base), (16, 10_000.0));
    assert_eq!(config.ropes[0].scaling, Scaling::None);
    assert_eq!((config.embed_scale, config.logit_scale, config.n_ctx_train), (1.0, 1.0, 2048));
}

#[test]
fn layers_may_differ_by_arrays() {
    let config = config("llama", |w, arch| {
        w.pair(&format!("{arch}.attention.head_count_kv"), 9, &array(4, &[4, 2, 1, 2]));
    })
    .unwrap();
    let n_kv_heads: Vec<usize> = config.layers.iter().map(|l| l.heads.n_kv_head).collect();
    assert_eq!(n_kv_heads, [4, 2, 1, 2]);
    assert_eq!(config.layers[1].heads.group(), 2);
}

#[test]
fn an_array_that_is_too_short_is_named() {
    let error = config("llama", |w, arch| {
        w.pair(&format!("{arch}.attention.head_count_kv"), 9, &array(4, &[4, 2]));
    })
    .unwrap_err();
    assert!(error.to_string().contains("head_count_kv"), "{error}");
}

#[test]
fn windows_follow_the_family_s_pattern_or_the_file_s() {
    let windows = |arch: &str, more: fn(&mut Writer, &str)| -> Vec<Option<u32>> {
        let config = config(arch, |w, arch| {
            w.u32(&format!("{arch}.attention.sliding_window"), 32);
            more(w, arch);
        });
        config.unwrap().layers.iter().map(|l| l.heads.window).collect()
    };
    assert_eq!(windows("llama", |_, _| {}), [Some(32); 4]);
    assert_eq!(windows("gemma2", |_, _| {}), [Some(32), None, Some(32), None]);
    assert_eq!(windows("gemma3", |_, _| {}), [Some(32); 4], "the sixth would see everything");
    assert_eq!(
        windows("gemma3", |w, arch| {
            w.u32(&format!("{arch}.attention.sliding_window_pattern"), 3);
        }),
        [Some(32), Some(32), None, Some(32)]
    );
    assert_eq!(
        windows("gemma3", |w, arch| {
            let slides = array(7, &[0, 1, 1, 0]);
            w.pair(&format!("{arch}.attention.sliding_window_pattern"), 9, &slides);
        }),
        [None, Some(32), Some(32), None]
    );
}

#[test]
fn gemma3_turns_slower_where_it_sees_everything() {
    let config = config("gemma3", |w, arch| {
        w.u32(&format!("{arch}.attention.sliding_window"), 32)
            .u32(&format!("{arch}.attention.sliding_window_pattern"), 2)
            .f32(&format!("{arch}.rope.freq_base"), 1e6)
            .str(&format!("{arch}.rope.scaling.type"), "linear")
            .f32(&format!("{arch}.rope.scaling.factor"), 8.0);
    })
    .unwrap();
    let ropes: Vec<_> = config.layers.iter().map(|l| &config.ropes[l.rope.unwrap()]).collect();
    assert_eq!((ropes[0].base, ropes[0].scaling), (1e4, Scaling::None));
    assert_eq!((ropes[1].base, ropes[1].scaling), (1e6, Scaling::Linear { factor: 8.0 }));
    assert_eq!(config.embed_scale, 8.0);
}

#[test]
fn scalings_are_read_or_refused_by_name() {
    let with = |kind: &'static str| {
        config("llama", move |w, arch| {
            w.str(&format!("{arch}.rope.scaling.type"), kind)
                .f32(&format!("{arch}.rope.scaling.factor"), 4.0)
                .u32(&format!("{arch}.rope.scaling.original_context_length"), 512);
        })
    };
    let Scaling::Yarn { factor, n_ctx_orig, beta_fast, .. } =
        with("yarn").unwrap().ropes[0].scaling
    else {
        panic!("yarn");
    };
    assert_eq!((factor, n_ctx_orig, beta_fast), (4.0, 512, 32.0));
    assert_eq!(with("none").unwrap().ropes[0].scaling, Scaling::None);
    assert_eq!(with("longrope").unwrap().ropes[0].scaling, Scaling::Long);
    assert_eq!(
        with("dynamic").unwrap().ropes[0].scaling,
        Scaling::Dynamic { factor: 4.0, n_ctx_orig: 512 }
    );
    let error = with("spiral").unwrap_err();
    assert!(error.to_string().contains("spiral"), "{error}");
}

#[test]
fn impossible_numbers_are_named() {
    let cases: [(&str, u32); 5] = [
        ("attention.head_count_kv", 3),
        ("attention.key_length", 0),
        ("rope.dimension_count", 18),
        ("expert_used_count", 9),
        ("attention.kv_lora_rank", 16),
    ];
    for (key, value) in cases {
        let error = config("llama", |w, arch| {
            w.u32(&format!("{arch}.expert_count"), 8);
            if key != "expert_used_count" {
                w.u32(&format!("{arch}.expert_used_count"), 2);
            }
            w.u32(&format!("{arch}.{key}"), value);
        })
        .unwrap_err();
        let word = if key.contains("lora") { "key_length_mla" } else { key };
        assert!(error.to_string().contains(word), "{key}: {error}");
    }
    let error = config("llama", |w, arch| {
        w.f32(&format!("{arch}.rope.freq_base"), f32::NAN);
    })
    .unwrap_err();
    assert!(error.to_string().contains("rope.freq_base"), "{error}");
}

#[test]
fn experts_are_read_with_the_family_s_gating_or_the_file_s() {
    let routing = |arch: &str, gating: Option<u32>, groups: u32| {
        let config = config(arch, |w, arch| {
            w.u32(&format!("{arch}.expert_count"), 8)
                .u32(&format!("{arch}.expert_used_count"), 2)
                .u32(&format!("{arch}.expert_group_count"), groups)
                .u32(&format!("{arch}.expert_group_used_count"), 2);
            if let Some(gating) = gating {
                w.u32(&format!("{arch}.expert_gating_func"), gating);
            }
        });
        config.map(|c| c.routing.unwrap())
    };
    let mixtral = routing("llama", None, 0).unwrap();
    assert_eq!((mixtral.gating, mixtral.normalise, mixtral.groups), (Gating::Softmax, true, None));
    assert_eq!(routing("gpt-oss", None, 0).unwrap().gating, Gating::SoftmaxOfChosen);
    assert_eq!(routing("qwen2moe", Some(2), 4).unwrap().groups, Some((4, 2)));
    assert!(routing("llama", Some(9), 0).unwrap_err().to_string().contains("gating"));
    assert!(routing("llama", None, 3).unwrap_err().to_string().contains("group"));
}

//! How RoPE is stretched: metadata, and the tensors that hold factors of its frequencies.

use super::numbers::Numbers;
use crate::Error;
use crate::gguf_writer::{Field, GgufHeader};

/// Adds the scaling's metadata.
///
/// # Errors
/// For a kind that GGUF has no words for, and for numbers that are missing.
pub fn write(numbers: &Numbers<'_>, header: &mut GgufHeader) -> Result<(), Error> {
    let set = |header: &mut GgufHeader, key: &str, field: Field| {
        header.set(&numbers.key(&format!("rope.scaling.{key}")), &field);
    };
    let kind = kind(numbers);
    let number = |key: &str| numbers.rope(key).as_f64();
    match kind.as_str() {
        // The factors of llama 3 are a tensor.
        "default" | "llama3" => return Ok(()),
        "longrope" | "su" => {
            set(header, "type", Field::Str("longrope".into()));
            set(header, "attn_factor", Field::F32(long_attention(numbers)? as f32));
        }
        "linear" | "yarn" | "dynamic" => {
            if !numbers.rope("alpha").is_null() {
                return Err(Error::Feature { what: "RoPE scaled by alpha".into() });
            }
            set(header, "type", Field::Str(kind.clone()));
            set(header, "factor", Field::F32(number("factor").unwrap_or(1.0) as f32));
        }
        other => return Err(Error::Feature { what: format!("RoPE scaled by {other}") }),
    }
    if let Some(n) = original(numbers).filter(|_| kind != "linear") {
        set(header, "original_context_length", Field::U32(n));
    }
    if kind == "yarn" {
        for (to, from) in [
            ("yarn_ext_factor", &["extrapolation_factor"][..]),
            ("yarn_attn_factor", &["attention_factor", "attn_factor"]),
            ("yarn_beta_fast", &["beta_fast"]),
            ("yarn_beta_slow", &["beta_slow"]),
        ] {
            if let Some(x) = from.iter().find_map(|key| number(key)) {
                set(header, to, Field::F32(x as f32));
            }
        }
        if let Some(x) = number("mscale_all_dim").filter(|_| numbers.family.arch == "deepseek2") {
            set(header, "yarn_log_multiplier", Field::F32((0.1 * x) as f32));
        }
    }
    Ok(())
}

fn kind(numbers: &Numbers<'_>) -> String {
    let said = numbers.rope("rope_type").as_str().or_else(|| numbers.rope("type").as_str());
    said.unwrap_or("default").to_lowercase()
}

/// The context before it was stretched.
fn original(numbers: &Numbers<'_>) -> Option<u32> {
    let said = numbers.rope("original_max_position_embeddings").as_u64();
    let said = said.or_else(|| numbers.config["max_position_embeddings"].as_u64());
    said.map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// What LongRoPE multiplies attention with (Ding et al. 2024, as Phi 3 does it).
fn long_attention(numbers: &Numbers<'_>) -> Result<f64, Error> {
    let long = numbers.config["max_position_embeddings"].as_f64();
    let (Some(long), Some(old)) = (long, original(numbers)) else {
        return Err(Error::metadata("max_position_embeddings of config.json", "is missing"));
    };
    let old = f64::from(old);
    let scale = long / old;
    Ok(if scale > 1.0 { (1.0 + scale.ln() / old.ln()).sqrt() } else { 1.0 })
}

/// Tensors of factors on the frequencies of RoPE, one for each pair: LongRoPE's for short and long
/// texts, or llama 3's (Meta 2024).
///
/// # Errors
/// If LongRoPE's are not as many as there are pairs.
pub fn tensors(numbers: &Numbers<'_>) -> Result<Vec<(&'static str, Vec<f32>)>, Error> {
    let Some(n_rot) = numbers.n_rot()? else { return Ok(Vec::new()) };
    match kind(numbers).as_str() {
        "llama3" => Ok(vec![("rope_freqs.weight", llama3(numbers, n_rot))]),
        "longrope" | "su" => {
            let all = |key: &'static str| {
                let values = numbers.rope(key).as_array().map(Vec::as_slice).unwrap_or_default();
                let factors: Vec<f32> =
                    values.iter().filter_map(|x| x.as_f64()).map(|x| x as f32).collect();
                match factors.len() == n_rot / 2 && factors.iter().all(|x| x.is_finite()) {
                    true => Ok(factors),
                    false => Err(Error::metadata(
                        format!("{key} of config.json"),
                        format!("does not have {} numbers, one for each pair", n_rot / 2),
                    )),
                }
            };
            Ok(vec![
                ("rope_factors_long.weight", all("long_factor")?),
                ("rope_factors_short.weight", all("short_factor")?),
            ])
        }
        _ => Ok(Vec::new()),
    }
}

fn llama3(numbers: &Numbers<'_>, n_rot: usize) -> Vec<f32> {
    let number = |key: &str, usual: f64| numbers.rope(key).as_f64().unwrap_or(usual);
    let base = number("rope_theta", 10_000.0);
    let (factor, low, high) =
        (number("factor", 8.0), number("low_freq_factor", 1.0), number("high_freq_factor", 4.0));
    let original = number("original_max_position_embeddings", 8192.0);
    let factors = (0..n_rot / 2).map(|pair| {
        let wavelength = 2.0 * std::f64::consts::PI * base.powf(2.0 * pair as f64 / n_rot as f64);
        if wavelength < original / high {
            return 1.0;
        }
        if wavelength > original / low {
            return factor as f32;
        }
        let smooth = (original / wavelength - low) / (high - low);
        (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
    });
    factors.collect()
}

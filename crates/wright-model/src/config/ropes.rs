//! Which rotations a model has.

use super::families::{Family, LocalRope};
use super::keys::Keys;
use super::{Latent, LayerConfig};
use crate::Error;
use crate::rope::{RopeConfig, Scaling};

/// Rope 0 is that of full layers; rope 1, if there is one, that of sliding layers.
pub(super) fn read(
    keys: &Keys<'_>,
    family: &Family,
    key_dim: usize,
    n_ctx_train: u32,
) -> Result<Vec<RopeConfig>, Error> {
    let n_rot = keys.size_or("rope.dimension_count", key_dim)?;
    let base = keys.f32("rope.freq_base")?.unwrap_or(10_000.0);
    let old = keys.u32("rope.scaling.original_context_length")?;
    let global = RopeConfig {
        n_ctx_orig: old.filter(|&n| n > 0).unwrap_or(n_ctx_train),
        attn_factor: keys.f32("rope.scaling.attn_factor")?.unwrap_or(1.0),
        pairing: family.pairing,
        n_rot,
        base,
        scaling: scaling(keys, family, n_ctx_train)?,
        // Factors of llama 3 are a tensor of the file.
        uses_factors: true,
    };
    let mut ropes = vec![global];
    let local = match family.local_rope {
        LocalRope::Same => None,
        LocalRope::Base(local) => Some(keys.f32("rope.freq_base_swa")?.unwrap_or(local)),
        LocalRope::Unscaled => Some(base),
    };
    if let Some(base) = local {
        let scaling = Scaling::None;
        ropes.push(RopeConfig { base, scaling, uses_factors: false, ..ropes[0].clone() });
    }
    if ropes.iter().any(|rope| rope.base < 1.0) {
        return Err(Error::metadata(keys.name("rope.freq_base"), "is below 1"));
    }
    Ok(ropes)
}

fn scaling(keys: &Keys<'_>, family: &Family, n_ctx_train: u32) -> Result<Scaling, Error> {
    let key = keys.name("rope.scaling.type");
    let kind = keys.metadata.str(&key);
    // Older files have a factor and no type; that was linear.
    let factor = match keys.f32("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.f32("rope.scale_linear")?,
    };
    let factor = factor.filter(|&f| f != 0.0).unwrap_or(1.0);
    if factor < 0.0 {
        return Err(Error::metadata(keys.name("rope.scaling.factor"), "is negative"));
    }
    let old = keys.u32("rope.scaling.original_context_length")?;
    let n_ctx_orig = old.filter(|&n| n > 0).unwrap_or(n_ctx_train);
    let or = |key: &str, default: f32| Ok::<f32, Error>(keys.f32(key)?.unwrap_or(default));
    let attn_factor = or("rope.scaling.attn_factor", 1.0)?;
    match kind {
        Some("none") => Ok(Scaling::None),
        None | Some("linear") if factor == 1.0 => Ok(Scaling::None),
        None | Some("linear") => Ok(Scaling::Linear { factor }),
        Some("longrope" | "su") => Ok(Scaling::Long),
        Some("dynamic") => Ok(Scaling::Dynamic { factor, n_ctx_orig }),
        Some("yarn") => Ok(Scaling::Yarn {
            factor,
            n_ctx_orig,
            attn_factor: attn_factor * yarn_correction(keys, factor)?,
            beta_fast: or("rope.scaling.yarn_beta_fast", 32.0)?,
            beta_slow: or("rope.scaling.yarn_beta_slow", 1.0)?,
            truncate: family.yarn_truncates,
        }),
        Some(other) => Err(Error::Feature { what: format!("RoPE is scaled by {other:?}") }),
    }
}

/// What YaRN's own factor, 1 + 0.1 ln(factor), is multiplied with: a file may name the product, and
/// DeepSeek has moved it into the scale of the scores.
fn yarn_correction(keys: &Keys<'_>, factor: f32) -> Result<f32, Error> {
    let usual = 1.0 + 0.1 * factor.ln();
    if keys.f32("rope.scaling.yarn_log_multiplier")?.is_some_and(|m| m != 0.0) {
        return Ok(1.0 / usual);
    }
    let named = keys.f32("rope.scaling.yarn_attn_factor")?.filter(|&f| f > 0.0);
    Ok(named.map_or(1.0, |named| named / usual))
}

/// The scale of scores between compressed queries and keys (DeepSeek-V2, 2024): by the length
/// before compression, and by YaRN's factor twice.
pub(super) fn latent_scale(
    keys: &Keys<'_>,
    latent: &Latent,
    scaling: Scaling,
) -> Result<f32, Error> {
    let plain = 1.0 / ((latent.n_plain + latent.n_rot) as f32).sqrt();
    let log = keys.f32("rope.scaling.yarn_log_multiplier")?.unwrap_or(0.0);
    Ok(match scaling {
        Scaling::Yarn { factor, .. } => plain * (1.0 + log * factor.ln()).powi(2),
        _ => plain,
    })
}

pub(super) fn check(
    keys: &Keys<'_>,
    layer: &LayerConfig,
    ropes: &[RopeConfig],
) -> Result<(), Error> {
    let Some(rope) = layer.rope.and_then(|index| ropes.get(index)) else { return Ok(()) };
    if rope.n_rot > layer.heads.key_dim || !rope.n_rot.is_multiple_of(2) {
        let why = format!(
            "is {}; it must be even and at most the head's {} dimensions",
            rope.n_rot, layer.heads.key_dim
        );
        return Err(Error::metadata(keys.name("rope.dimension_count"), why));
    }
    Ok(())
}

//! Texts to vectors: one pass over a text, pooled as the model's metadata say.

use super::{Job, Scheduler, dead, model_error, overflow};
use wright_chat::Error;
use wright_model::config::{Kind, Pooling};
use wright_model::{Batch, Segment, Want};

impl Scheduler {
    /// The vector of the job's ids. Needs an idle slot, whose sequence it forgets.
    pub(super) fn embed(&mut self, job: &Job) -> Result<Vec<f32>, Error> {
        let n_ctx = self.session.n_ctx();
        if job.ids.is_empty() || job.ids.len() > n_ctx {
            return Err(overflow(job.ids.len(), n_ctx));
        }
        let idle = self.slots.iter_mut().filter(|slot| slot.work.is_none());
        let slot = idle.min_by_key(|slot| slot.turn).ok_or_else(dead)?;
        slot.held.clear();
        let seq = slot.seq;
        self.session.clear(seq).map_err(model_error)?;
        let config = self.session.model().config();
        let pooling = match (config.pooling, config.family.kind) {
            (Pooling::None, Kind::Encoder) => Pooling::Mean,
            (Pooling::None, Kind::Decoder) => Pooling::Last,
            (named, _) => named,
        };
        let is_encoder = config.family.kind == Kind::Encoder;
        let want = match pooling {
            Pooling::Last => Want::Last,
            Pooling::Rank if !is_encoder => Want::Last,
            _ => Want::All,
        };
        let segment = Segment { seq, pos: 0, ids: &job.ids, want };
        let batch = Batch { segments: &[segment] };
        let rows = match pooling {
            Pooling::Rank => self.session.classify(&batch),
            _ => self.session.hidden(&batch),
        };
        let rows = rows.map_err(model_error)?;
        self.session.clear(seq).map_err(model_error)?;
        Ok(match pooling {
            Pooling::Mean => mean(rows.rows()),
            _ => rows.row(0).to_vec(),
        })
    }
}

/// The mean of rows of one length.
fn mean<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f32> {
    let n = rows.len() as f64;
    let mut sums: Vec<f64> = Vec::new();
    for row in rows {
        sums.resize(row.len(), 0.0);
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    sums.into_iter().map(|sum| (sum / n) as f32).collect()
}

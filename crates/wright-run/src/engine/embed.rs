//! Texts to vectors or labels: one pass over a text, pooled as the model's metadata say.

use super::{EngineRequest, Scheduler, Task, dead, model_error, overflow};
use wright_chat::Error;
use wright_model::config::{Kind, Pooling};
use wright_model::{Batch, Logits, Segment, SeqId, Want};

impl Scheduler {
    /// The vector or the labels of the request's ids. Needs an idle slot, and clears its sequence.
    pub(super) fn vector(&mut self, request: &EngineRequest) -> Result<Vec<f32>, Error> {
        let n_ctx = self.session.n_ctx();
        if request.ids.is_empty() || request.ids.len() > n_ctx {
            return Err(self.too_long(request.ids.len(), n_ctx));
        }
        let idle = self.slots.iter_mut().filter(|slot| slot.active.is_none());
        let slot = idle.min_by_key(|slot| slot.last_used).ok_or_else(dead)?;
        slot.held.clear();
        let seq = slot.seq;
        self.session.clear(seq).map_err(model_error)?;
        let pooling = self.session.model().pooling();
        let rows = match request.task {
            Task::Classify { second } => self.labels(seq, &request.ids, second),
            _ => self.pooled(seq, &request.ids, pooling),
        };
        let rows = rows.map_err(model_error)?;
        self.session.clear(seq).map_err(model_error)?;
        Ok(match (&request.task, pooling) {
            (Task::Embed, Pooling::Mean) => mean(rows.rows()),
            _ => rows.row(0).to_vec(),
        })
    }

    /// A text that one pass cannot hold.
    fn too_long(&self, n_ids: usize, n_ctx: usize) -> Error {
        let error = overflow(n_ids, n_ctx);
        let is_all = n_ctx >= self.session.model().n_ctx_train() as usize;
        match n_ids > 0 && is_all {
            false => error,
            true => Error { remedy: None, ..error }
                .hint("the model reads no more at once: split the text"),
        }
    }

    /// The rows that make the vector: the first of them, or their mean.
    fn pooled(
        &mut self,
        seq: SeqId,
        ids: &[u32],
        pooling: Pooling,
    ) -> Result<Logits, wright_model::Error> {
        let want = if pooling == Pooling::Last { Want::Last } else { Want::All };
        let segment = Segment { seq, pos: 0, ids, want };
        self.session.hidden(&Batch { segments: &[segment] })
    }

    /// An encoder's first token stands for the text, a decoder's last.
    fn labels(
        &mut self,
        seq: SeqId,
        ids: &[u32],
        second: Option<usize>,
    ) -> Result<Logits, wright_model::Error> {
        let kind = self.session.model().config().family.kind;
        let want = if kind == Kind::Encoder { Want::All } else { Want::Last };
        self.session.classify(Segment { seq, pos: 0, ids, want }, second)
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

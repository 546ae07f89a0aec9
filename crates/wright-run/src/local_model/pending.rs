//! A request that the engine works on.

use super::LocalModel;
use crate::engine::{self, EngineEvent, EngineRequest, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use wright_chat::{Cancel, Error};

/// How long a request that waits for the engine takes to notice that it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// A request in the engine; dropping it cancels.
pub(super) struct Pending {
    events: Receiver<EngineEvent>,
    cancelled: Arc<AtomicBool>,
}

impl Pending {
    /// Waits for the next event.
    ///
    /// # Errors
    /// If the request failed or the engine died.
    pub fn next(&self) -> Result<EngineEvent, Error> {
        match self.events.recv() {
            Ok(EngineEvent::Failed(error)) => Err(error),
            Ok(event) => Ok(event),
            Err(_) => Err(engine::dead()),
        }
    }

    /// Waits for the next event; `None` once `cancel` is set.
    ///
    /// # Errors
    /// If the request failed or the engine died.
    pub fn next_unless(&self, cancel: &Cancel) -> Result<Option<EngineEvent>, Error> {
        while !cancel.is_cancelled() {
            match self.events.recv_timeout(CANCEL_POLL) {
                Ok(EngineEvent::Failed(error)) => return Err(error),
                Ok(event) => return Ok(Some(event)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(engine::dead()),
            }
        }
        Ok(None)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl LocalModel {
    /// Hands a request to the engine.
    ///
    /// # Errors
    /// If the engine is dead.
    pub(super) fn start(&self, ids: Vec<u32>, task: Task) -> Result<Pending, Error> {
        let (sender, events) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let pending = Pending { events, cancelled: Arc::clone(&cancelled) };
        self.engine.submit(EngineRequest { ids, task, events: sender, cancelled })?;
        Ok(pending)
    }
}

//! Receivers of a model's events, which can also stop the answer.

use crate::Event;
use std::ops::ControlFlow;

/// Receives events as they happen. `Break` stops the answer; the text so far is kept.
pub trait Sink {
    fn event(&mut self, event: Event) -> ControlFlow<()>;
}

impl<F: FnMut(Event) -> ControlFlow<()>> Sink for F {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        self(event)
    }
}

/// Keeps every event and never stops.
#[derive(Debug, Default)]
pub struct Collect {
    pub events: Vec<Event>,
}

impl Sink for Collect {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        self.events.push(event);
        ControlFlow::Continue(())
    }
}

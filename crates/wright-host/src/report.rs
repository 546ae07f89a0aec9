//! How a library says what it is doing: a terminal draws it, a server sends it on, a test ignores
//! it.

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    Bytes,
    /// Things of this name, in the plural, such as "windows".
    Things(&'static str),
}

/// Where a library's notes and progress go.
pub trait Reporter: Sync {
    /// Information that is not an error.
    fn note(&self, text: &str);

    /// Starts to show the progress of one piece of work. `total` is what will have been done at
    /// the end, or 0 if nobody knows; `label` says what is being done.
    fn start(&self, label: &str, total: u64, count: Count) -> Box<dyn Progress>;
}

/// The progress of one piece of work.
pub trait Progress: Send {
    /// `done` of the total are done. Values may go down or beyond the total.
    fn set(&mut self, done: u64);

    /// Something to show beside the progress, such as an intermediate result.
    fn say(&self, text: &str);

    /// The work has ended.
    fn finish(self: Box<Self>);
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn note(&self, _: &str) {}

    fn start(&self, _: &str, _: u64, _: Count) -> Box<dyn Progress> {
        Box::new(Silent)
    }
}

impl Progress for Silent {
    fn set(&mut self, _: u64) {}

    fn say(&self, _: &str) {}

    fn finish(self: Box<Self>) {}
}

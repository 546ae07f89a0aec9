//! Ctrl-C: the first asks the work at hand to stop, a second one before it did ends the program.

use crate::exit::Exit;
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the person has asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts to listen for Ctrl-C; to be called once.
    ///
    /// # Errors
    /// If the system refuses the handler.
    pub fn watch() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        // Order matters: the shutdown looks at the flag before this very signal sets it.
        let code = i32::from(Exit::Interrupted.code());
        flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&asked))?;
        flag::register(SIGINT, Arc::clone(&asked))?;
        Ok(Interrupt { asked })
    }

    pub fn is_set(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// What was asked to stop has stopped: the next Ctrl-C is a first one again.
    pub fn clear(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// As Ctrl-C does.
    #[cfg(test)]
    pub fn set(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

//! Ctrl-C: the first asks the work at hand to stop; a second one before it has stopped ends the
//! program.

use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the work has been asked to stop. Clones share the same flag.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts to listen for Ctrl-C; to be called once. A second Ctrl-C ends the program with
    /// `exit_code`.
    ///
    /// # Errors
    /// If the system refuses the handler.
    pub fn watch(exit_code: u8) -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        // Order matters: the shutdown looks at the flag before this very signal sets it.
        flag::register_conditional_shutdown(SIGINT, i32::from(exit_code), Arc::clone(&asked))?;
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

    /// Asks the work to stop, as Ctrl-C does.
    pub fn set(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

/// Suspends this process, as Ctrl-Z does, until it is told to go on.
///
/// # Errors
/// If the system has no such thing.
pub fn suspend() -> io::Result<()> {
    #[cfg(unix)]
    return signal_hook::low_level::raise(signal_hook::consts::SIGTSTP);
    #[cfg(not(unix))]
    Err(io::ErrorKind::Unsupported.into())
}

//! Ctrl-C while a search goes on: the first one asks it to end with the best so far, a second ends the program.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// What Ctrl-C (or SIGTERM) ends.
#[derive(Debug, Default)]
pub struct Interrupt {
    /// Set by the first one.
    pub stop: AtomicBool,
    /// What was written; held while it is.
    written: Mutex<Option<String>>,
}

impl Interrupt {
    /// Waits for signals from now on. Where the system lets us wait for none, they end the program as ever.
    pub fn wait() -> Arc<Interrupt> {
        let interrupt = Arc::new(Interrupt::default());
        let of_thread = Arc::clone(&interrupt);
        // Whoever waits for signals waits as long as the program runs.
        thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(of_thread.watch());
        });
        interrupt
    }

    /// Keeps a second signal from ending the program as long as the guard lives, so that nothing stays half-written.
    /// Whoever holds it says in it what was written.
    pub fn hold(&self) -> MutexGuard<'_, Option<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn watch(&self) {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if self.stop.swap(true, Ordering::Relaxed) {
                // Until the program has ended nothing more is written.
                let written = self.hold();
                match written.as_deref() {
                    Some(file) => eprintln!("\nerror: ended early: {file} is written, whole"),
                    None => eprintln!("\nerror: ended before anything was judged: nothing was written"),
                }
                process::exit(1);
            }
            eprintln!("\nthe search ends; the best so far is judged. Ctrl-C again: end at once, write nothing");
        }
    }
}

//! Ctrl-C while a search goes on: the first one asks it to end with the best so far, a second ends the program.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// A flag that the first Ctrl-C (or SIGTERM) sets. Where the system lets us wait for neither, it stays unset and the
/// signal ends the program.
pub fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    // Whoever waits for signals waits as long as the program runs.
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(wait(&set));
    });
    stop
}

async fn wait(stop: &AtomicBool) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.swap(true, Ordering::Relaxed) {
            eprintln!("\nerror: ended before anything was judged: nothing was written");
            process::exit(1);
        }
        eprintln!("\nthe search ends; the best so far is judged. Ctrl-C again: end at once, write nothing");
    }
}

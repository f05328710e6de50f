//! Memory in small pages, once the service answers.
//!
//! Linux gives memory in pages of 2 MB where it is let, and zeroes each as a whole when it is first touched: 6 to 8 ms
//! on a virtual machine, for which the event or the bid stands still that touches it. One of 4 kB takes microseconds.
//! Data stores in memory forgo huge pages for that reason (Redis by its `disable-thp`). What was read before the
//! service answers keeps those that it has, and was read faster for them.

/// From now on this process gets no huge pages. Where the system knows nothing of that, or refuses, all stays as it
/// was: stalls are then longer, and nothing else is different.
pub fn forgo_huge_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_takes_note() {
        forgo_huge_pages();
        match rustix::thread::transparent_huge_pages_are_disabled() {
            Ok(is_noted) => assert!(is_noted),
            Err(error) => eprintln!("skipped: this system does not tell ({error})"),
        }
    }
}

//! Settings in the words of the trade.

use crate::action::standard;
pub use crate::wording::{count, several};

/// An action as a trader calls it: "added to cart"; an advertiser's own one by its name.
pub fn action(name: &str) -> String {
    standard(name).map_or_else(|| format!("did {name}"), |action| action.words.to_owned())
}

/// A size in the largest unit in which it is a whole number: "8 MiB".
pub fn bytes(size: usize) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, scale)| size >= *scale && size.is_multiple_of(*scale)) {
        Some((unit, scale)) => format!("{} {unit}", count(size / scale)),
        None => format!("{} B", count(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_easy_to_read() {
        for (size, words) in
            [(0, "0 B"), (1_000, "1,000 B"), (4 << 20, "4 MiB"), (5 << 30, "5 GiB"), (1 << 10, "1 KiB")]
        {
            assert_eq!(bytes(size), words);
        }
    }
}

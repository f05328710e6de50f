//! Settings in the words of the trade.

use crate::action::standard;

/// An action as a trader calls it: "added to cart"; an advertiser's own one by its name.
pub fn action(name: &str) -> String {
    standard(name).map_or_else(|| format!("did {name}"), |action| action.words.to_owned())
}

/// A number with its thousands set apart: 1,000,000.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of a thing: "1 goal", "2 goals".
pub fn several(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
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
    fn numbers_are_easy_to_read() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (10_000_000, "10,000,000")];
        for (number, words) in cases {
            assert_eq!(count(number), words);
        }
        assert_eq!((several(1, "goal"), several(2_000, "goal")), ("1 goal".to_owned(), "2,000 goals".to_owned()));
        for (size, words) in
            [(0, "0 B"), (1_000, "1,000 B"), (4 << 20, "4 MiB"), (5 << 30, "5 GiB"), (1 << 10, "1 KiB")]
        {
            assert_eq!(bytes(size), words);
        }
    }
}

//! How a message quotes an offending text, names what was probably meant, and says how many.

/// Most characters of an offending text that are shown.
const SHOWN_MAX: usize = 40;
/// Most known names that are shown when none is near.
const NAMES_MAX: usize = 24;
/// Names longer than this, in bytes, get no suggestion: no known name is as long.
const SUGGESTED_BYTES_MAX: usize = 64;

/// The first line of a text, without control characters and of bounded length, so that a message stays one line.
pub fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut out: String = line.chars().take(SHOWN_MAX).flat_map(printable).collect();
    if line.len() < text.trim_end().len() || line.chars().nth(SHOWN_MAX).is_some() {
        out.push('…');
    }
    out
}

fn printable(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// The known name that was probably meant.
pub fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if wrong.len() > SUGGESTED_BYTES_MAX {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let allowed = 1 + wrong.chars().count() / 4;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// The end of a message about an unknown name: the nearest known one, else all of them, up to 24.
pub fn instead(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("did you mean '{name}'?"),
        None if known.is_empty() => "none is known".to_owned(),
        None if known.len() > NAMES_MAX => {
            format!("known are {} and {} more", known[..NAMES_MAX].join(", "), known.len() - NAMES_MAX)
        }
        None => format!("known are {}", known.join(", ")),
    }
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

/// So many of a thing of a name that takes an s: "1 goal", "2 goals".
pub fn several(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
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
    }

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        let known = ["view_item", "view_item_list", "add_to_cart", "purchase"];
        let cases = [
            ("veiw_item", Some("view_item")),
            ("add-to-cart", Some("add_to_cart")),
            ("AddToCart", Some("add_to_cart")),
            ("purchases", Some("purchase")),
            ("teleport", None),
            ("", None),
        ];
        for (wrong, expected) in cases {
            assert_eq!(nearest(wrong, known), expected, "{wrong}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }

    #[test]
    fn quotes_stay_on_one_short_line() {
        assert_eq!(shown("\"0s\""), "\"0s\"");
        assert_eq!(shown("[1,\n2]"), "[1,…");
        assert_eq!(shown("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(99)).chars().count(), SHOWN_MAX + 1);
        assert_eq!(shown(""), "");
    }
}

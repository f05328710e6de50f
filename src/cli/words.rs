//! Settings in the words of the trade.

use crate::action::standard;
use crate::settings::Rule;

/// An action as a trader calls it: "added to cart"; an advertiser's own one by its name.
pub fn action(name: &str) -> String {
    standard(name).map_or_else(|| format!("did {name}"), |action| action.words.to_owned())
}

/// Who is in a segment: "added to cart within 7d and not (purchased within 7d)".
pub fn rule(rule: &Rule) -> String {
    match rule {
        Rule::All(parts) => joined(parts, " and "),
        Rule::Any(parts) => joined(parts, " or "),
        Rule::Not(part) => format!("not ({})", self::rule(part)),
        Rule::Count { action: name, window, at_least: 1 } => format!("{} within {window}", action(name.as_str())),
        Rule::Count { action: name, window, at_least } => {
            format!("{} at least {at_least} times within {window}", action(name.as_str()))
        }
        Rule::Recency { action: name, less_than } => format!("{} less than {less_than} ago", action(name.as_str())),
        Rule::Stage(milestone) => format!("got as far as {milestone}"),
        Rule::Sessions(count) => format!("came at least {count} times"),
        Rule::External(id) => format!("in the external segment {id}"),
    }
}

/// The parts of a rule; those which are joined themselves stand in parentheses.
fn joined(parts: &[Rule], word: &str) -> String {
    let part = |part: &Rule| match part {
        Rule::All(inner) | Rule::Any(inner) if inner.len() > 1 => format!("({})", rule(part)),
        _ => rule(part),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(word)
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
    use crate::ids::Id;
    use crate::settings::ready_made_segments;
    use crate::units::Span;

    #[test]
    fn rules_read_like_sentences() {
        let ready_made: Vec<String> = ready_made_segments().iter().map(|(_, _, made)| rule(made)).collect();
        assert_eq!(
            ready_made,
            [
                "added to cart within 7d and not (purchased within 7d)",
                "viewed a product at least 3 times within 7d",
                "watched a video to the end within 14d",
                "purchased within 30d",
            ]
        );
        let either = Rule::Any(vec![Rule::Sessions(3), Rule::Stage(Id::literal("view_cart"))]);
        let recent = Rule::Recency { action: Id::literal("configure"), less_than: Span::hours(2) };
        let both = Rule::All(vec![either, recent, Rule::External(Id::literal("p/1"))]);
        assert_eq!(
            rule(&both),
            "(came at least 3 times or got as far as view_cart) and did configure less than 2h ago and in the external \
             segment p/1"
        );
    }

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

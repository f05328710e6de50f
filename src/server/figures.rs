//! Counts and ages as people say them.

/// An age in seconds, rounded: "just now", "5 min ago", "2 h ago", "3 days ago", "4 months ago".
pub fn ago(seconds: u32) -> String {
    const MINUTE: u32 = 60;
    const HOUR: u32 = 3_600;
    const DAY: u32 = 86_400;
    const MONTH: u32 = 30 * DAY;
    let nearest = |unit: u32| seconds.saturating_add(unit / 2) / unit;
    if seconds < MINUTE {
        "just now".to_owned()
    } else if nearest(MINUTE) < 60 {
        format!("{} min ago", nearest(MINUTE))
    } else if nearest(HOUR) < 48 {
        format!("{} h ago", nearest(HOUR))
    } else if nearest(DAY) < 60 {
        format!("{} days ago", nearest(DAY))
    } else {
        format!("{} months ago", nearest(MONTH))
    }
}

/// How often, from 1: exact below 100; beyond, of which not every count knows the end, the two leading digits.
pub fn often(times: u32) -> String {
    if times == 1 {
        return "once".to_owned();
    }
    let mut unit = 1;
    while times / unit >= 100 {
        unit *= 10;
    }
    if unit == 1 { format!("{times} times") } else { format!("{} times or more", times / unit * unit) }
}

/// How often, and how long ago last.
pub fn often_last(times: u16, age_s: Option<u32>) -> String {
    let last = match (times, age_s) {
        (_, None) => String::new(),
        (1, Some(age_s)) => format!(", {}", ago(age_s)),
        (_, Some(age_s)) => format!(", last {}", ago(age_s)),
    };
    format!("{}{last}", often(times.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_rounded_as_people_say_them() {
        let cases = [
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (89, "1 min ago"),
            (90, "2 min ago"),
            (59 * 60 + 29, "59 min ago"),
            (59 * 60 + 30, "1 h ago"),
            (7_300, "2 h ago"),
            (47 * 3_600 + 1_799, "47 h ago"),
            (47 * 3_600 + 1_800, "2 days ago"),
            (59 * 86_400, "59 days ago"),
            (60 * 86_400, "2 months ago"),
            (u32::MAX, "1657 months ago"),
        ];
        for (seconds, words) in cases {
            assert_eq!(ago(seconds), words, "{seconds} s");
        }
    }

    #[test]
    fn counts_are_exact_as_far_as_they_are_known() {
        let words = [1, 2, 99, 100, 127, 255, 65_535].map(often);
        let (rough, most) = ("100 times or more", "65000 times or more");
        assert_eq!(words, ["once", "2 times", "99 times", rough, "120 times or more", "250 times or more", most]);
        assert_eq!(often_last(1, Some(60)), "once, 1 min ago");
        assert_eq!(often_last(3, Some(60)), "3 times, last 1 min ago");
        assert_eq!(often_last(2, None), "2 times");
    }
}

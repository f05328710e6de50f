//! When an impression teaches: at once, or where its window is short, when that has closed.

use inkling::engine::Applied;
use inkling::event::Event;
use inkling::settings::Settings;
use inkling::units::Span;

use super::shop::*;

/// A shop whose goal has such windows, after it has shown somebody something.
fn shown(window: Span) -> Shop {
    let mut settings = settings();
    let goal = &mut settings.advertisers[0].goals[0];
    (goal.view_window, goal.click_window) = (window, window);
    let mut shop = Shop::with(settings);
    shop.act(1, "view_item");
    shop.wait(MINUTE);
    shop.show(1);
    shop
}

/// What all features of a person say together; `None` where each of them says nothing at all.
fn taught(shop: &mut Shop) -> Option<f64> {
    let signal = shop.signal(1);
    assert!(!signal.reasons.is_empty());
    let is_blank = signal.reasons.iter().all(|reason| reason.contribution == 0.0);
    (!is_blank).then(|| signal.reasons.iter().map(|reason| reason.contribution).sum())
}

#[test]
fn where_windows_are_short_a_label_teaches_when_it_is_known() {
    let window = Span::minutes(10);
    for converts in [false, true] {
        let mut shop = shown(window);
        assert_eq!(taught(&mut shop), None, "nobody knows yet");
        if converts {
            shop.wait(MINUTE);
            assert_eq!(shop.apply(conversion(1, None)), Applied::Done);
            assert_eq!(shop.credited(), (1.0, 0.0), "joined, and yet");
            assert_eq!(taught(&mut shop), None, "another may follow, or this one be taken back");
        }
        shop.wait(window.0 + MINUTE);
        let taught = taught(&mut shop).expect("its window has closed");
        assert_eq!((taught > 0.0, taught < 0.0), (converts, !converts), "{taught}");
    }
}

#[test]
fn where_windows_are_long_it_teaches_at_once_and_is_put_right_later() {
    let mut shop = shown(Span::minutes(16));
    let at_first = taught(&mut shop).expect("nothing is waited for");
    assert!(at_first < 0.0, "{at_first}");
    shop.wait(MINUTE);
    assert_eq!(shop.apply(conversion(1, None)), Applied::Done);
    assert!(taught(&mut shop).unwrap() > 0.0);
}

/// Steps that impressions have led to are kept as places among the milestones of their time.
#[test]
fn what_an_impression_has_led_to_is_the_same_under_other_milestones() {
    let (before, mut after) = (settings(), settings());
    assert_eq!(after.advertisers[0].goals[0].milestones.remove(0), id("view_item"));
    let run = |settings: Settings| {
        let mut shop = Shop::with(settings);
        shop.show(1);
        shop.wait(MINUTE);
        shop.act(1, "add_to_cart");
        assert_eq!(shop.apply(Event::Configured(Box::new(after.clone()))), Applied::Done);
        shop.wait(MINUTE);
        assert_eq!(shop.act(1, "add_to_cart"), Applied::Done, "a step that was taken before");
        assert_eq!(shop.apply(conversion(1, None)), Applied::Done);
        shop.engine.digest()
    };
    assert_eq!(run(before), run(after.clone()), "under the new milestones from the beginning");
}

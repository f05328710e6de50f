//! `inkling segments`.

use super::harness::{Service, action};
use super::inkling;

#[tokio::test]
async fn segments_are_shown_as_a_table_and_as_json() {
    let service = Service::start().await;
    service.track(vec![action("u1", "add_to_cart")]).await;
    let asked = ["segments", "--advertiser", "acme", "--goal", "purchase"];
    let out = inkling(&service, &asked, "").await.good();
    let names: Vec<&str> = out.lines().skip(2).take(3).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["everyone", "cart_abandoners", "repeat_viewers"], "{out}");

    let out = inkling(&service, &[&asked[..], &["--json"]].concat(), "").await.good();
    let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(answer["segments"][0]["actions"][0]["action"], "add_to_cart");
    assert_eq!(answer["segments"][1]["segment"], "cart_abandoners");

    for (advertiser, goal, message) in [
        ("nobody", "purchase", "error: NOT_FOUND: advertiser 'nobody' is not configured\n"),
        ("acme", "fame", "error: NOT_FOUND: goal 'fame' is not configured for this advertiser\n"),
    ] {
        let ran = inkling(&service, &["segments", "--advertiser", advertiser, "--goal", goal], "").await;
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), message));
    }
    let ran = inkling(&service, &["segments", "--advertiser", "acme"], "").await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--goal <NAME>"), "{}", ran.err);
    service.stop().await;
}

//! `inkling score`.

use serde_json::Value;

use super::harness::{Service, action};
use super::inkling;

fn json(line: &str) -> Value {
    serde_json::from_str(line).expect(line)
}

fn request(id: u32, advertiser: &str) -> String {
    format!(
        "{{\"opportunityId\": \"o{id}\", \"targets\": [{{\"advertiser\": \"{advertiser}\"}}], \"tmax_ms\": 10000}}\n"
    )
}

#[tokio::test]
async fn a_request_is_answered_for_people_and_for_programs() {
    let service = Service::start().await;
    service.track(vec![action("u1", "view_item"), action("u1", "add_to_cart")]).await;
    let asked = ["score", "--advertiser", "acme", "--user", "u1", "--goal", "purchase", "--item", "sku1"];

    let out = inkling(&service, &[&asked[..], &["--table"]].concat(), "").await.good();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "inkling-score · u1 · acme · sku1 · purchase");
    assert!(lines[1].starts_with("  multiplier  × 1.000, neutral: too few users"), "{out}");
    assert!(out.contains("\n  stage       add_to_cart\n"), "{out}");
    assert!(out.contains("\n  reasons     everybody's rate: ×1.00\n"), "{out}");
    assert!(!out.contains("token"), "an opportunity without a name can come back: {out}");

    // A pipe is no terminal: JSON, without reasons nobody asked for.
    let out = inkling(&service, &[&asked[..], &["--opportunity", "o1"]].concat(), "").await.good();
    let answer = json(&out);
    let result = &answer["results"][0];
    assert_eq!(result["signals"][0]["stage"], "add_to_cart");
    assert_eq!(result["signals"][0]["reasons"], Value::Null);
    assert!(result["token"].is_string(), "{out}");

    let text = r#"{"opportunity_id": "o2", "users": ["u1"], "targets": [{"advertiser": "acme"}], "tmaxMs": 10000}"#;
    let out = inkling(&service, &["score", text, "--reasons", "2", "--words"], "").await.good();
    let reasons = json(&out)["results"][0]["signals"][0]["reasons"].as_array().expect("reasons").len();
    assert_eq!(reasons, 2, "{out}");
    assert!(out.contains("everybody's rate"), "{out}");
    service.stop().await;
}

#[tokio::test]
async fn many_requests_are_answered_in_their_order() {
    let service = Service::start().await;
    // More than may be under way at a time, so that both sides have to wait for each other.
    let requests: String = (0..300).map(|id| request(id, if id == 7 { "nobody" } else { "acme" })).collect();
    let ran = inkling(&service, &["score", "-"], &requests).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "error: 1 of 300 requests refused\n"));
    let answers: Vec<Value> = ran.out.lines().map(json).collect();
    assert_eq!(answers.len(), 300);
    let refused = |answer: &Value| answer["results"][0]["rejection"]["code"] == "unknown_advertiser";
    let places: Vec<usize> =
        answers.iter().enumerate().filter(|(_, answer)| refused(answer)).map(|(at, _)| at).collect();
    assert_eq!(places, [7]);

    // One object may go over several lines, as a person writes it.
    let out = inkling(&service, &["score"], "\n{\n  \"opportunityId\": \"o\",\n  \"targets\": []\n}\n").await.good();
    assert_eq!(json(&out)["results"], Value::Null);
    assert_eq!(inkling(&service, &["score"], "").await.good(), "");
    service.stop().await;
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let service = Service::start().await;
    let good = request(1, "acme");
    let cases = [
        (format!("{good}\n{{\"opportunityId\": 7}}\n{good}"), 1, "standard input:3:19: invalid type: integer `7`"),
        (
            format!("{good}{{\"oportunityId\": \"o\"}}\n"),
            1,
            "standard input:2:15: there is no field 'oportunityId': did you",
        ),
        (format!("{good}{{\n"), 1, "standard input:2:1: EOF while parsing an object"),
        (format!("{good}{}\n", "x".repeat(2 << 20)), 1, "standard input:2: an object of more than 1048576 bytes"),
    ];
    for (input, answers, message) in cases {
        let ran = inkling(&service, &["score"], &input).await;
        assert_eq!((ran.code, ran.out.lines().count()), (Some(1), answers), "{}", ran.err);
        assert!(ran.err.starts_with(&format!("error: {message}")) && ran.err.lines().count() == 1, "{}", ran.err);
    }
    let ran = inkling(&service, &["score", "{\"users\": [}"], "").await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "error: argument:1:12: expected value\n"));
    let ran = inkling(&service, &["score", "no/such/file"], "").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("error: no/such/file: No such file"), "{}", ran.err);
    let ran = inkling(&service, &["score", "--user", "u1"], "").await;
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    service.stop().await;
}

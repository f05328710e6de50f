//! `inkling load` against services that take nothing, or not for long.

use std::time::Duration;

use super::harness::Service;
use super::{inkling, inkling_at};

#[tokio::test]
async fn an_advertiser_that_the_service_does_not_know_is_named_at_once() {
    let service = Service::start().await;
    let arguments = ["load", "--advertiser", "nobody", "--producers", "2", "--events", "10", "--for", "1h"];
    let ran = tokio::time::timeout(Duration::from_secs(60), inkling(&service, &arguments, "")).await.expect("it ends");
    let told = "error: 20 of 20 events were refused: advertiser 'nobody' is not configured: name one that the \
                service's configuration has, with --advertiser\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), told), "{}", ran.out);
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_goes_is_told_with_what_it_had_acknowledged() {
    let service = Service::start().await;
    let address = service.grpc().to_string();
    let arguments = ["load", "--producers", "2", "--events", "10", "--for", "1h"];
    let loading = tokio::task::spawn_blocking(move || inkling_at(&address, &arguments, ""));
    while service.counter("inkling_frames_applied_total", "").await < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    service.stop().await;
    let ran = tokio::time::timeout(Duration::from_secs(60), loading).await.expect("it ends").unwrap();
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let (_, acknowledged) = ran.err.split_once(": the service failed when it had acknowledged ").expect(&ran.err);
    assert!(!acknowledged.starts_with("0 ") && acknowledged.contains("start it again"), "{}", ran.err);
    assert!(!ran.err.contains("status:") && ran.err.lines().count() == 1, "{}", ran.err);
    assert!(ran.out.contains("2 producers") && ran.out.contains("service"), "{}", ran.out);
}

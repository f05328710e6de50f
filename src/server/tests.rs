use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc;

use super::*;
use crate::journal::watched::Watched;

fn config() -> Config {
    // Other settings than those that an engine has by itself: they have to be journaled.
    let acme = crate::settings::Advertiser::new(crate::ids::Id::literal("acme"));
    let mut config = Config::from_settings(Settings { advertisers: vec![acme], ..Settings::default() });
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    (config.server.grpc, config.server.http) = (any, any);
    config
}

/// Runs a service on a journal that takes so many frames: did it become ready, and how did it end?
fn run_until_failure(frames: usize) -> (bool, String) {
    let mut config = config();
    config.server.drain = crate::units::Span(50);
    let listeners = Listeners::bind(&config.server, false).unwrap();
    let ground = Ground { journal: Box::new(Watched::new(frames)), ..Ground::in_memory() };
    let (tell, told) = mpsc::channel();
    let ready = move || tell.send(()).unwrap();
    let secrets = Secrets::in_memory(Identity::new([0; 32]));
    let failure = run(config, ground, secrets, listeners, std::future::pending(), ready).unwrap_err();
    (told.try_recv().is_ok(), format!("{failure:#}"))
}

#[test]
fn a_journal_that_fails_ends_the_service_with_an_error() {
    let (ready, failure) = run_until_failure(0);
    assert!(!ready, "a service is not ready before its settings are in the journal");
    assert!(failure.contains("the journal failed after frame 0") && failure.contains("no space left"), "{failure}");
    // The second frame is a tick: time passes while nobody sends anything.
    let (ready, failure) = run_until_failure(1);
    assert!(ready);
    assert!(failure.contains("the journal failed after frame 1"), "{failure}");
}

#[test]
fn only_this_machine_may_connect_unless_told_otherwise() {
    let mut config = config();
    config.server.http.set_ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let refused = Listeners::bind(&config.server, false).unwrap_err().to_string();
    assert!(refused.contains("0.0.0.0:0") && refused.contains("--insecure") && refused.contains("TLS"), "{refused}");
    let listeners = Listeners::bind(&config.server, true).unwrap();
    assert!(listeners.grpc().unwrap().ip().is_loopback());
    assert!(listeners.http().unwrap().ip().is_unspecified());
}

#[test]
fn an_address_in_use_is_named() {
    let mut config = config();
    let taken = TcpListener::bind(config.server.grpc).unwrap();
    config.server.grpc = taken.local_addr().unwrap();
    let refused = format!("{:#}", Listeners::bind(&config.server, false).unwrap_err());
    assert!(refused.contains(&config.server.grpc.to_string()), "{refused}");
}

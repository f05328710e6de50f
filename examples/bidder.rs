//! A bidder and a tracker in one file: what a client of Inkling does, in the order in which it does it.
//!
//! ```sh
//! cargo run -- serve --config inkling.example.toml      # in one terminal
//! cargo run --example bidder -- 127.0.0.1:7610          # in another
//! ```
//!
//! A client of your own takes `proto/inkling/v1/` through `tonic-prost-build`; here the crate's generated code serves.

use std::time::Duration;

use inkling::pb::v1::event::Body;
use inkling::pb::v1::event_service_client::EventServiceClient;
use inkling::pb::v1::signal_service_client::SignalServiceClient;
use inkling::pb::v1::{Action, Click, ContextEntry, Event, GhostImpression, Impression, Money, OpportunityRef};
use inkling::pb::v1::{ScoreRequest, Signal, SuppressReason, Target, TargetResult, TrackRequest, TrackResponse};
use inkling::pb::v1::{click, ghost_impression, impression};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

type Fault = Box<dyn std::error::Error>;

/// The shop of inkling.example.toml.
const ADVERTISER: &str = "acme";
/// What a bid may wait for its multiplier, there and back. Later than that the bid goes out without one.
const BID_TIMEOUT: Duration = Duration::from_millis(20);
/// What of it is for the way; the rest the service may take.
const WAY: Duration = Duration::from_millis(5);
/// Events are in no hurry: a call that fails is made again, so many times in all, with pauses that double. One that is
/// still not acknowledged then goes into a queue of your own.
const EVENT_TIMEOUT: Duration = Duration::from_secs(5);
const EVENT_TRIES: u32 = 6;
const EVENT_PAUSE: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fault> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7610".to_owned());
    run(&address, "u-81", "auction-1", BID_TIMEOUT).await
}

/// Plays one user from the first product view to the purchase, and says what the service answers.
pub async fn run(address: &str, user: &str, opportunity: &str, timeout: Duration) -> Result<(), Fault> {
    // One connection serves any number of calls at a time: clone the channel, do not connect again. It connects with
    // the first call, and again by itself when the service was away. Each call has a deadline of its own.
    let endpoint =
        Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true);
    let channel = endpoint.connect_lazy();

    // 1. Tell what users do, as it happens. The answer comes when the events count.
    let acts = ["view_item", "view_item", "add_to_cart"];
    let events = acts.into_iter().enumerate().map(|(place, act)| action(user, act, &format!("{opportunity}-{place}")));
    track(&channel, events.collect()).await?;

    // 2. Ask, for each bid request. One target here; a request takes up to 200.
    let (multiplier, result) = multiplier_or_one(&channel, user, opportunity, timeout).await;
    println!("bid × {multiplier:.2}");
    for signal in result.iter().flat_map(|result| &result.signals) {
        println!(
            "{}: p {:.4}, base bid pays for {:.4}{}",
            signal.goal,
            signal.p_conversion,
            signal.baseline,
            if signal.suppress { ", do not bid at all" } else { "" }
        );
        signal.reasons.iter().for_each(|reason| println!("  {}", reason.words));
    }

    // 3. Where the answer says so, there is no bid, and nothing was shown: the way ends here.
    let suppressed = result.iter().flat_map(|result| &result.signals).find(|signal| signal.suppress).cloned();
    let token = result.map(|result| result.token).filter(|token| !token.is_empty());
    if let Some(signal) = suppressed {
        return pass(&channel, &signal, token, (user, opportunity)).await;
    }

    // 4. The bid was won and the ad rendered: return the token, which holds what was scored. The notice needs no other
    //    id, and a second one is recognised. Where no answer came in time there is no token: name the opportunity.
    let of = match &token {
        Some(token) => impression::Of::Token(token.clone()),
        None => impression::Of::Opportunity(named(user, opportunity)),
    };
    //    What it cost and what was bid keep multipliers from spending more than would be spent without them.
    let [cost, bid] = [1_200, 1_500].map(|micros| Some(Money { micros, currency: "USD".to_owned() }));
    track(&channel, vec![happened(Body::Impression(Impression { of: Some(of), cost, bid }))]).await?;
    let of = match token {
        Some(token) => click::Of::Token(token),
        None => click::Of::Opportunity(named(user, opportunity)),
    };
    let event_id = format!("{opportunity}-click");
    track(&channel, vec![Event { event_id, ..happened(Body::Click(Click { of: Some(of) })) }]).await?;

    // 5. The purchase is the goal's converting action: it is learned from, with everything that led to it.
    let mut purchase = action(user, "purchase", &format!("order-{opportunity}"));
    if let Some(Body::Action(action)) = &mut purchase.body {
        action.value = Some(Money { micros: 39_900_000, currency: "USD".to_owned() });
    }
    track(&channel, vec![purchase]).await
}

/// Does not bid. Of who is held out, to measure what ads add, it tells what would have been shown: send that only where
/// the bid, at this multiplier, would have won.
async fn pass(
    channel: &Channel,
    signal: &Signal,
    token: Option<String>,
    (user, opportunity): (&str, &str),
) -> Result<(), Fault> {
    if signal.suppress_reason() != SuppressReason::Holdout {
        return Ok(());
    }
    let of = match token {
        Some(token) => ghost_impression::Of::Token(token),
        None => ghost_impression::Of::Opportunity(named(user, opportunity)),
    };
    track(channel, vec![happened(Body::GhostImpression(GhostImpression { of: Some(of) }))]).await
}

/// An action with an id of its own, so that it can be sent again when an answer was lost.
fn action(user: &str, action: &str, event_id: &str) -> Event {
    let action = Action {
        user: user.to_owned(),
        advertiser: ADVERTISER.to_owned(),
        action: action.to_owned(),
        item: "sku-7".to_owned(),
        ..Action::default()
    };
    Event { event_id: event_id.to_owned(), ..happened(Body::Action(action)) }
}

/// Something that happens now: events of the past have `occurred_at_ms`.
fn happened(body: Body) -> Event {
    Event { body: Some(body), ..Event::default() }
}

/// The opportunity by its name, for notices without a token.
fn named(user: &str, opportunity: &str) -> OpportunityRef {
    OpportunityRef {
        advertiser: ADVERTISER.to_owned(),
        opportunity_id: opportunity.to_owned(),
        user: user.to_owned(),
        goals: vec!["purchase".to_owned()],
        item: "sku-7".to_owned(),
        ..OpportunityRef::default()
    }
}

/// Sends events. A refused one keeps no other out, and its reason comes back in words: it is told, and stays refused
/// however often it is sent.
async fn track(channel: &Channel, events: Vec<Event>) -> Result<(), Fault> {
    let answer = acknowledged(channel, TrackRequest { events }).await?;
    println!("{} accepted, {} known already, {} refused", answer.accepted, answer.duplicate, answer.rejected);
    for result in &answer.results {
        if let Some(rejection) = &result.rejection {
            eprintln!("event {}: {}: {}", result.index, rejection.code, rejection.message);
        }
    }
    Ok(())
}

/// Sends events until they are acknowledged: again while the service is away or has no room. With their ids, events
/// count once, whether or not the call that failed had reached it.
async fn acknowledged(channel: &Channel, events: TrackRequest) -> Result<TrackResponse, Status> {
    let mut pause = EVENT_PAUSE;
    for _ in 1..EVENT_TRIES {
        match send(channel, events.clone()).await {
            Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            answer => return answer,
        }
    }
    send(channel, events).await
}

async fn send(channel: &Channel, events: TrackRequest) -> Result<TrackResponse, Status> {
    let mut request = Request::new(events);
    request.set_timeout(EVENT_TIMEOUT);
    EventServiceClient::new(channel.clone()).track(request).await.map(tonic::Response::into_inner)
}

/// The factor on the bid, and the answer it comes from. Whatever goes wrong (no connection, no answer in time, a
/// refusal), the factor is 1: the bid goes out as it would without Inkling. A bid is never asked about twice.
async fn multiplier_or_one(
    channel: &Channel,
    user: &str,
    opportunity: &str,
    timeout: Duration,
) -> (f64, Option<TargetResult>) {
    match score(channel, user, opportunity, timeout).await {
        Ok(result) => {
            let multiplier = result.signals.first().map_or(1.0, |signal| signal.multiplier);
            (multiplier, Some(result))
        }
        Err(fault) => {
            eprintln!("no multiplier: {fault}");
            (1.0, None)
        }
    }
}

/// Asks what an impression for this user is worth.
async fn score(channel: &Channel, user: &str, opportunity: &str, timeout: Duration) -> Result<TargetResult, Fault> {
    let mut request = Request::new(ScoreRequest {
        opportunity_id: opportunity.to_owned(),
        users: vec![user.to_owned()],
        context: vec![ContextEntry { name: "device_type".to_owned(), value: "phone".to_owned() }],
        targets: vec![Target {
            advertiser: ADVERTISER.to_owned(),
            item: "sku-7".to_owned(),
            goals: vec!["purchase".to_owned()],
            ..Target::default()
        }],
        reasons_max: 3,
        words: true,
        tmax_ms: timeout.saturating_sub(WAY).as_millis() as u32,
        ..ScoreRequest::default()
    });
    request.set_timeout(timeout);
    let answer = SignalServiceClient::new(channel.clone()).score(request).await?.into_inner();
    // A request that cannot be answered is no error of the call.
    if let Some(rejection) = answer.rejection {
        return Err(format!("{}: {}", rejection.code, rejection.message).into());
    }
    let result = answer.results.into_iter().next().ok_or("one target was asked, none answered")?;
    match result.rejection {
        Some(rejection) => Err(format!("{}: {}", rejection.code, rejection.message).into()),
        None => Ok(result),
    }
}

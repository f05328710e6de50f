//! One connection that tracks made-up events.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context;
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::super::remote::Remote;
use super::Plan;
use crate::pb::v1;
use crate::pb::v1::event_service_client::EventServiceClient;

/// Longest time to an acknowledgement that is told apart, in nanoseconds: ten minutes.
const TIME_MAX: u64 = 600_000_000_000;
/// Messages of an open loop that were due and could not be sent yet; beyond that the producer waits, and their times
/// count from when they were due all the same.
const OPEN_AHEAD_MAX: usize = 64;

/// What shoppers do, most often first, with how many of a hundred acts it is.
const ACTS: [(&str, u32); 5] =
    [("view_item", 60), ("page_view", 25), ("add_to_cart", 10), ("begin_checkout", 4), ("purchase", 1)];

/// What one producer, or all together, did.
pub struct Tally {
    /// From when a message was due to its acknowledgement, in nanoseconds.
    pub times: Histogram<u64>,
    pub messages: u64,
    pub events: u64,
    pub refused: u64,
    /// Why the first of them was refused.
    pub refusal: Option<v1::Rejection>,
    /// What went wrong before all was sent and acknowledged.
    pub failure: Option<String>,
}

impl Default for Tally {
    fn default() -> Tally {
        let times = Histogram::new_with_bounds(1, TIME_MAX, 3).expect("these bounds are allowed");
        Tally { times, messages: 0, events: 0, refused: 0, refusal: None, failure: None }
    }
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: Tally) {
        self.times.add(other.times).expect("all have the same bounds");
        self.messages += other.messages;
        self.events += other.events;
        self.refused += other.refused;
        self.refusal = self.refusal.take().or(other.refusal);
        self.failure = self.failure.take().or(other.failure);
    }

    fn count(&mut self, due: Instant, response: v1::TrackResponse) {
        self.times.saturating_record(due.elapsed().as_nanos().min(u128::from(TIME_MAX)) as u64);
        self.messages += 1;
        self.events += u64::from(response.accepted + response.duplicate + response.rejected);
        self.refused += u64::from(response.rejected);
        let refusals = response.results.into_iter().filter_map(|result| result.rejection);
        self.refusal = self.refusal.take().or(refusals.into_iter().next());
    }
}

/// Sends for as long as the plan says, and waits for all acknowledgements. Ends early when the service fails, or takes
/// nothing of a message: it would take nothing of the next one either.
pub async fn run(plan: Arc<Plan>, number: u32, channel: Channel, remote: Remote) -> Tally {
    let mut tally = Tally::default();
    if let Err(failure) = send(&plan, number, channel, &remote, &mut tally).await {
        tally.failure = Some(failure.to_string());
    }
    tally
}

async fn send(plan: &Plan, number: u32, channel: Channel, remote: &Remote, tally: &mut Tally) -> anyhow::Result<()> {
    let told = |status| remote.told(&status);
    let ahead = if plan.pause.is_some() { OPEN_AHEAD_MAX } else { plan.ahead };
    let (messages, receiver) = mpsc::channel(ahead);
    let mut client = EventServiceClient::new(channel);
    let mut answers = client.track_stream(ReceiverStream::new(receiver)).await.map_err(told)?.into_inner();
    let mut maker = Maker::new(plan, number);
    let mut underway = VecDeque::new();
    let started = Instant::now();
    let end = started + plan.span;
    // Producers of an open loop begin one after the other, so that their messages are spread evenly.
    let mut due = started + plan.pause.map_or_else(Default::default, |pause| pause.mul_f64(maker.dice.random()));
    let mut messages = Some(messages);
    loop {
        if messages.is_some() && due >= end {
            messages = None;
        }
        if messages.is_none() && underway.is_empty() {
            return Ok(());
        }
        let may_send = underway.len() < ahead;
        tokio::select! {
            answer = answers.message(), if !underway.is_empty() => {
                let response = answer.map_err(told)?;
                let response = response.context("the service ended the stream before all was acknowledged")?;
                let due = underway.pop_front().context("the service answered what nobody had asked")?;
                if response.accepted + response.duplicate == 0 {
                    messages = None;
                }
                tally.count(due, response);
            }
            () = until(due, plan.pause.is_some()), if messages.is_some() && may_send => {
                let Some(sender) = &messages else { continue };
                let at = if plan.pause.is_some() { due } else { Instant::now() };
                if sender.send(maker.message()).await.is_err() {
                    // The answers say why.
                    messages = None;
                    continue;
                }
                underway.push_back(at);
                due = plan.pause.map_or_else(Instant::now, |pause| due + pause);
            }
        }
    }
}

/// Waits until a message of an open loop is due. A closed loop never waits: a timer has steps of a millisecond.
async fn until(due: Instant, open: bool) {
    if open {
        sleep_until(due).await;
    }
}

/// Makes events up.
struct Maker<'a> {
    plan: &'a Plan,
    number: u32,
    made: u64,
    dice: StdRng,
}

impl Maker<'_> {
    fn new(plan: &Plan, number: u32) -> Maker<'_> {
        Maker { plan, number, made: 0, dice: StdRng::seed_from_u64(plan.seed ^ (u64::from(number) << 32)) }
    }

    fn message(&mut self) -> v1::TrackRequest {
        v1::TrackRequest { events: (0..self.plan.events).map(|_| self.event()).collect() }
    }

    fn event(&mut self) -> v1::Event {
        self.made += 1;
        let mut of_hundred = self.dice.random_range(0..100);
        let act = ACTS.iter().find(|(_, share)| {
            let found = of_hundred < *share;
            of_hundred = of_hundred.saturating_sub(*share);
            found
        });
        let action = v1::Action {
            user: format!("u{}", self.dice.random_range(0..self.plan.users)),
            advertiser: self.plan.advertiser.clone(),
            action: act.map_or("view_item", |(name, _)| name).to_owned(),
            item: format!("sku{}", self.dice.random_range(0..10_000)),
            ..v1::Action::default()
        };
        v1::Event {
            event_id: format!("{:x}-{}-{}", self.plan.run, self.number, self.made),
            body: Some(v1::event::Body::Action(action)),
            ..v1::Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_a_hundred() {
        assert_eq!(ACTS.iter().map(|(_, share)| share).sum::<u32>(), 100);
    }
}

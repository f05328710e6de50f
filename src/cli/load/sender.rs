//! Sends made-up messages over one connection.

use std::sync::Arc;

use rand::RngExt;
use tokio::time::{Instant, sleep_until};
use tonic::transport::Channel;

use super::super::remote::Remote;
use super::Plan;
use super::line::Line;
use super::maker::Maker;
use super::tally::Tally;

/// Sends for as long as the plan says, and waits for all answers. Ends early when the service fails, or takes nothing
/// of a message: it would take nothing of the next one either.
pub async fn run(plan: Arc<Plan>, number: u32, channel: Channel, remote: Remote) -> Tally {
    let mut tally = Tally::default();
    if let Err(failure) = send(&plan, number, channel, &remote, &mut tally).await {
        tally.failure = Some(format!("{failure:#}"));
    }
    tally
}

async fn send(plan: &Plan, number: u32, channel: Channel, remote: &Remote, tally: &mut Tally) -> anyhow::Result<()> {
    let mut line = Line::open(plan, channel, remote).await?;
    let mut maker = Maker::new(plan, number);
    let started = Instant::now();
    let end = started + plan.span;
    // Connections of an open loop begin one after the other, so that their messages are spread evenly.
    let mut due = started + plan.pause.map_or_else(Default::default, |pause| pause.mul_f64(maker.dice.random()));
    loop {
        if due >= end {
            line.finish();
        }
        if line.is_done() {
            return Ok(());
        }
        tokio::select! {
            answer = line.answer(), if line.is_waiting() => {
                let (due, answer) = answer?;
                if !tally.count(plan.tmax, due, answer) {
                    line.finish();
                }
            }
            () = until(due, plan.pause.is_some()), if line.has_room() => {
                match plan.pause {
                    Some(pause) => {
                        line.send(&mut maker, due);
                        due += pause;
                    }
                    None => {
                        due = Instant::now();
                        line.send(&mut maker, due);
                    }
                }
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

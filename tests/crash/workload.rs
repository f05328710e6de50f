//! Frames of records, and the digest of the state after each.

use inkling::engine::{Digest, Engine, tick_due};
use inkling::event::{Action, Conversion, Converter, Event, Record};
use inkling::ids::{Id, UserKey};
use inkling::record::{decode_frame, encode_frame};
use inkling::settings::{Advertiser, Goal, Settings};
use inkling::units::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What is appended, and what comes of it.
pub struct Workload {
    pub frames: Vec<Vec<u8>>,
    /// Of the state after so many frames.
    pub digests: Vec<Digest>,
}

impl Workload {
    pub fn new(frames: usize, seed: u64) -> Workload {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut at = Timestamp(1_780_000_000_000);
        let mut written = Vec::with_capacity(frames);
        for number in 0..frames {
            // Sizes from a few bytes to several pages.
            let count = if number % 10 == 3 { 400 } else { dice.random_range(1..12) };
            let mut records = Vec::new();
            for place in 0..count {
                let next = at.0 + dice.random_range(0..400);
                if let Some(second) = tick_due(at, Timestamp(next)) {
                    records.push(Record { at: second, occurred_at: second, event_id: None, event: Event::Tick });
                }
                at = Timestamp(next);
                let event = if number + place == 0 { settings() } else { event(&mut dice) };
                records.push(Record { at, occurred_at: at, event_id: None, event });
            }
            written.push(encode_frame(&records).unwrap());
        }
        let mut engine = Engine::new();
        let mut digests = vec![engine.digest()];
        for frame in &written {
            decode_frame(frame).unwrap().iter().for_each(|record| {
                engine.apply(record);
            });
            digests.push(engine.digest());
        }
        assert!(digests.windows(2).all(|pair| pair[0] != pair[1]), "each frame shows in the digest");
        Workload { frames: written, digests }
    }
}

fn settings() -> Event {
    let mut acme = Advertiser::new(Id::literal("acme"));
    acme.goals.push(Goal::new(Id::literal("purchase")));
    let mut settings = Settings { advertisers: vec![acme], ..Settings::default() };
    settings.learner.table_bits = 10;
    Event::Configured(Box::new(settings))
}

fn event(dice: &mut StdRng) -> Event {
    let user = UserKey(dice.random_range(0..30));
    let advertiser = Id::literal("acme");
    let action = |name| {
        Event::Action(Action {
            user,
            advertiser: advertiser.clone(),
            action: Id::literal(name),
            item: None,
            category: None,
            value: None,
        })
    };
    match dice.random_range(0..12) {
        0 => Event::Link([user, UserKey(dice.random_range(0..30))]),
        1 => Event::Forget(user),
        2 | 3 => Event::Conversion(Conversion {
            by: Converter::User(user),
            advertiser: advertiser.clone(),
            goal: Id::literal("purchase"),
            item: None,
            category: None,
            value: None,
            conversion_id: None,
        }),
        4..6 => action("add_to_cart"),
        _ => action("view_item"),
    }
}

//! Looking ahead: the waits for memory of many records, all at once.
//!
//! Of what an action costs among a million profiles, a third is the wait for one of them, which stands anywhere. The
//! processor waits for several places at once if it is asked for them one right after the other, and not across the
//! work of whole records. So whoever has several records at hand lets the engine look at what they will need first.

use smallvec::SmallVec;

use super::Engine;
use super::apply::event_key;
use super::profiles::ProfileKey;
use crate::event::{Event, Record};
use crate::ids::{AdvertiserCode, Id};

impl Engine {
    /// Records that are worth looking ahead to at once: more have lost their place in the nearest memory again by the
    /// time that they are applied.
    pub const AHEAD: usize = 16;

    /// Brings what records will need into the nearest memory. State stays what it is, and so does what comes of the
    /// records: this only makes applying them, soon, faster. Of more than [`Engine::AHEAD`] the rest is passed over.
    pub fn prefetch<'a>(&self, records: impl IntoIterator<Item = &'a Record>) {
        let mut profiles = SmallVec::<[ProfileKey; Engine::AHEAD]>::new();
        // Neighbours are mostly of one advertiser.
        let mut latest: Option<(&Id, AdvertiserCode)> = None;
        let mut known = 0;
        for record in records.into_iter().take(Engine::AHEAD) {
            if let Some(id) = &record.event_id {
                known += usize::from(self.recent.is_known(event_key(id, &record.event)));
            }
            let Event::Action(action) = &record.event else { continue };
            let advertiser = match latest {
                Some((name, code)) if *name == action.advertiser => code,
                _ => {
                    let Some(code) = self.catalog.advertiser(action.advertiser.as_str()) else { continue };
                    latest = Some((&action.advertiser, code));
                    code
                }
            };
            profiles.push(ProfileKey::of(self.people.root(action.user), advertiser));
        }
        std::hint::black_box((known, self.profiles.prefetch(&profiles)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Action;
    use crate::ids::UserKey;
    use crate::settings::{Advertiser, Settings};
    use crate::units::Timestamp;

    #[test]
    fn what_is_unknown_or_too_much_is_passed_over() {
        let at = Timestamp(1_000);
        let record = |event| Record { at, occurred_at: at, event_id: None, event };
        let id = |text: &str| Id::new(text).expect("a short name");
        let mut engine = Engine::new();
        let settings = Settings { advertisers: vec![Advertiser::new(id("acme"))], ..Settings::default() };
        engine.apply(&record(Event::Configured(Box::new(settings))));
        let act = |(user, advertiser): (u64, &str)| {
            record(Event::Action(Action {
                user: UserKey(user),
                advertiser: id(advertiser),
                action: id("view_item"),
                item: None,
                category: None,
                value: None,
            }))
        };
        let many: Vec<Record> = (0..100).map(|user| act((user % 3, ["acme", "nobody"][user as usize % 2]))).collect();
        let before = engine.digest();
        engine.prefetch(&many);
        engine.prefetch(&[]);
        assert_eq!(engine.digest(), before);
        many.iter().for_each(|record| drop(engine.apply(record)));
        let before = engine.digest();
        engine.prefetch(&many);
        assert_eq!((engine.digest(), engine.tally().actions), (before, 50));
    }
}

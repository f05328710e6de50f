//! What the engine has counted since its first record.

/// Plain counts; part of state, because they are a fold over records like all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records applied, of any outcome.
    pub records: u64,
    /// Actions that were taken.
    pub actions: u64,
    /// Impressions that were taken, whatever their number of goals.
    pub impressions: u64,
    /// Impressions of which only exposure and cost were counted, because their features could hold what came later.
    pub impressions_unlearned: u64,
    /// Clicks that were taken.
    pub clicks: u64,
    /// Conversions that were taken.
    pub conversions: u64,
    /// Impression labels that became positive.
    pub positives: u64,
    /// Conversions that were taken back.
    pub retractions: u64,
    /// Label windows that closed without a conversion.
    pub closed_negative: u64,
    /// Label windows that closed with one.
    pub closed_positive: u64,
    /// Would-be impressions of held-out users.
    pub ghost_impressions: u64,
    /// Ids linked.
    pub links: u64,
    /// Persons forgotten on request.
    pub forgotten: u64,
    /// Records that repeated an earlier one.
    pub duplicates: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Profiles given up because there were too many.
    pub profiles_evicted: u64,
    /// Profiles given up because they were unseen for too long.
    pub profiles_expired: u64,
    /// Impressions closed before their time because there were too many.
    pub impressions_evicted: u64,
    /// Conversions let go before their time because there were too many.
    pub conversions_evicted: u64,
    /// Times that somebody came into quarantine.
    pub quarantined: u64,
    /// Actions of those in quarantine, which are not among `actions`; likewise the next three.
    pub actions_quarantined: u64,
    /// Impressions shown to them.
    pub impressions_quarantined: u64,
    /// Their clicks.
    pub clicks_quarantined: u64,
    /// Their conversions, and those that came too soon.
    pub conversions_quarantined: u64,
    /// Acts of people who could not be held in quarantine, because there are too many in it.
    pub unguarded: u64,
    /// Acts that ended in a sequence of two or three which is not looked after because there are too many.
    pub paths_untracked: u64,
    /// Times somebody was reached or converted and is in no experiment because there were too many people in it.
    pub trial_people_untracked: u64,
}

impl Tally {
    /// All counts with their names.
    pub fn entries(&self) -> [(&'static str, u64); 27] {
        // The places are part of the image's format: a new count goes to the end.
        let mut counts = *self;
        counts.all_mut().map(|(name, count)| (name, *count))
    }

    /// All counts with their names, to be changed.
    pub(super) fn all_mut(&mut self) -> [(&'static str, &mut u64); 27] {
        [
            ("records", &mut self.records),
            ("actions", &mut self.actions),
            ("impressions", &mut self.impressions),
            ("impressions_unlearned", &mut self.impressions_unlearned),
            ("clicks", &mut self.clicks),
            ("conversions", &mut self.conversions),
            ("positives", &mut self.positives),
            ("retractions", &mut self.retractions),
            ("closed_negative", &mut self.closed_negative),
            ("closed_positive", &mut self.closed_positive),
            ("ghost_impressions", &mut self.ghost_impressions),
            ("links", &mut self.links),
            ("forgotten", &mut self.forgotten),
            ("duplicates", &mut self.duplicates),
            ("rejected", &mut self.rejected),
            ("profiles_evicted", &mut self.profiles_evicted),
            ("profiles_expired", &mut self.profiles_expired),
            ("impressions_evicted", &mut self.impressions_evicted),
            ("conversions_evicted", &mut self.conversions_evicted),
            ("paths_untracked", &mut self.paths_untracked),
            ("trial_people_untracked", &mut self.trial_people_untracked),
            ("quarantined", &mut self.quarantined),
            ("actions_quarantined", &mut self.actions_quarantined),
            ("impressions_quarantined", &mut self.impressions_quarantined),
            ("clicks_quarantined", &mut self.clicks_quarantined),
            ("conversions_quarantined", &mut self.conversions_quarantined),
            ("unguarded", &mut self.unguarded),
        ]
    }
}

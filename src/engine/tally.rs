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
    /// Acts of people who could not be watched, or held, because there are too many of them.
    pub unguarded: u64,
    /// Acts that ended in a sequence of two or three which is not looked after because there are too many.
    pub paths_untracked: u64,
    /// Times somebody was reached or converted and is in no experiment because there were too many people in it.
    pub trial_people_untracked: u64,
}

impl Tally {
    /// All counts with their names.
    pub fn entries(&self) -> [(&'static str, u64); 27] {
        [
            ("records", self.records),
            ("actions", self.actions),
            ("impressions", self.impressions),
            ("impressions_unlearned", self.impressions_unlearned),
            ("clicks", self.clicks),
            ("conversions", self.conversions),
            ("positives", self.positives),
            ("retractions", self.retractions),
            ("closed_negative", self.closed_negative),
            ("closed_positive", self.closed_positive),
            ("ghost_impressions", self.ghost_impressions),
            ("links", self.links),
            ("forgotten", self.forgotten),
            ("duplicates", self.duplicates),
            ("rejected", self.rejected),
            ("profiles_evicted", self.profiles_evicted),
            ("profiles_expired", self.profiles_expired),
            ("impressions_evicted", self.impressions_evicted),
            ("conversions_evicted", self.conversions_evicted),
            ("paths_untracked", self.paths_untracked),
            ("trial_people_untracked", self.trial_people_untracked),
            ("quarantined", self.quarantined),
            ("actions_quarantined", self.actions_quarantined),
            ("impressions_quarantined", self.impressions_quarantined),
            ("clicks_quarantined", self.clicks_quarantined),
            ("conversions_quarantined", self.conversions_quarantined),
            ("unguarded", self.unguarded),
        ]
    }
}

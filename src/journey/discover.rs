//! Default settings from a log alone: whoever has a log and no configuration can start.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::Line;
use crate::action::{ActionKind, HALF_LIFE_DEFAULT};
use crate::expression::READY_MADE;
use crate::ids::Id;
use crate::settings::{
    ACTIONS_MAX, ADVERTISERS_MAX, ActionSetting, Advertiser, ExternalSegment, GOALS_MAX, Goal, KNOWN_EXTERNALS_MAX,
    Rule, Settings,
};
use crate::units::Span;

/// Gathers what a log names, line by line.
#[derive(Debug, Default)]
pub struct Discovery {
    /// In the order of first sight.
    advertisers: Vec<Seen>,
    /// Place of each advertiser in the list.
    places: BTreeMap<Id, usize>,
    /// Goals over all advertisers.
    goals: usize,
}

/// What was seen of one advertiser.
#[derive(Debug)]
struct Seen {
    /// The standard actions and, in the order of first sight, the log's own.
    advertiser: Advertiser,
    /// Names of the actions that occur.
    actions: BTreeSet<Id>,
    /// Names of the goals, beside the advertiser's list.
    goals: BTreeSet<Id>,
    /// Names of the external segments, beside the advertiser's list.
    externals: BTreeSet<Id>,
}

/// A log names more than one engine can hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DiscoveryError {
    /// Too many advertisers.
    #[error("advertiser '{advertiser}' is one more than the {ADVERTISERS_MAX} that one engine can hold")]
    Advertisers {
        /// The first beyond the limit.
        advertiser: Id,
    },
    /// Too many goals.
    #[error("goal '{goal}' of advertiser '{advertiser}' is one more than the {GOALS_MAX} that one engine can hold")]
    Goals {
        /// Whose goal.
        advertiser: Id,
        /// The first beyond the limit.
        goal: Id,
    },
    /// Too many actions of one advertiser.
    #[error(
        "action '{action}' is one more than the {ACTIONS_MAX} that advertiser '{advertiser}' can have, \
         the standard actions included"
    )]
    Actions {
        /// Whose action.
        advertiser: Id,
        /// The first beyond the limit.
        action: Id,
    },
}

impl Discovery {
    /// Takes note of what a line names.
    ///
    /// External segments beyond [`KNOWN_EXTERNALS_MAX`] are left out.
    ///
    /// # Errors
    /// When the line names an advertiser, goal or action beyond its limit; what was noted before stays.
    pub fn see(&mut self, line: &Line) -> Result<(), DiscoveryError> {
        match line {
            Line::Action(action) => self.seen(&action.advertiser)?.see_action(&action.action),
            Line::Opportunity(opportunity) => {
                self.see_goal(&opportunity.advertiser, &opportunity.goal)?;
                let seen = self.seen(&opportunity.advertiser)?;
                opportunity.segments.iter().for_each(|segment| seen.see_external(segment));
                Ok(())
            }
            Line::Conversion(conversion) => self.see_goal(&conversion.advertiser, &conversion.goal),
            Line::Impression(_) => Ok(()),
        }
    }

    /// The settings of all that was seen, with one label window for clicked and viewed impressions of every goal.
    ///
    /// No goal gets a converting action: the log's conversion lines are its conversions.
    pub fn settings(&self, window: Span) -> Settings {
        Settings {
            advertisers: self.advertisers.iter().map(|seen| seen.settings(window)).collect(),
            ..Settings::default()
        }
    }

    fn seen(&mut self, advertiser: &Id) -> Result<&mut Seen, DiscoveryError> {
        let place = match self.places.get(advertiser) {
            Some(place) => *place,
            None if self.advertisers.len() == ADVERTISERS_MAX => {
                return Err(DiscoveryError::Advertisers { advertiser: advertiser.clone() });
            }
            None => {
                self.advertisers.push(Seen::new(advertiser.clone()));
                self.places.insert(advertiser.clone(), self.advertisers.len() - 1);
                self.advertisers.len() - 1
            }
        };
        Ok(&mut self.advertisers[place])
    }

    fn see_goal(&mut self, advertiser: &Id, goal: &Id) -> Result<(), DiscoveryError> {
        let is_full = self.goals == GOALS_MAX;
        let seen = self.seen(advertiser)?;
        if seen.goals.contains(goal) {
            return Ok(());
        }
        if is_full {
            return Err(DiscoveryError::Goals { advertiser: advertiser.clone(), goal: goal.clone() });
        }
        seen.goals.insert(goal.clone());
        seen.advertiser.goals.push(Goal::new(goal.clone()));
        self.goals += 1;
        Ok(())
    }
}

impl Seen {
    fn new(id: Id) -> Seen {
        Seen {
            advertiser: Advertiser::new(id),
            actions: BTreeSet::new(),
            goals: BTreeSet::new(),
            externals: BTreeSet::new(),
        }
    }

    fn see_action(&mut self, action: &Id) -> Result<(), DiscoveryError> {
        if self.actions.contains(action) {
            return Ok(());
        }
        if self.advertiser.action(action.as_str()).is_none() {
            if self.advertiser.actions.len() == ACTIONS_MAX {
                let advertiser = self.advertiser.id.clone();
                return Err(DiscoveryError::Actions { advertiser, action: action.clone() });
            }
            let kind = ActionKind::Secondary;
            self.advertiser.actions.push(ActionSetting { id: action.clone(), kind, half_life: HALF_LIFE_DEFAULT });
        }
        self.actions.insert(action.clone());
        Ok(())
    }

    fn see_external(&mut self, segment: &Id) {
        if self.externals.len() < KNOWN_EXTERNALS_MAX && !self.externals.contains(segment) {
            self.externals.insert(segment.clone());
            self.advertiser.externals.push(ExternalSegment { id: segment.clone(), weight: 1.0 });
        }
    }

    fn settings(&self, window: Span) -> Advertiser {
        let mut advertiser = self.advertiser.clone();
        let milestones = self.milestones();
        for goal in &mut advertiser.goals {
            (goal.click_window, goal.view_window) = (window, window);
            goal.milestones = milestones.clone();
        }
        let segments = READY_MADE.iter().map(|made| made.segment(1.0));
        advertiser.segments = segments.filter(|segment| self.has_actions_of(&segment.rule)).collect();
        advertiser
    }

    /// The milestones that occur, furthest last. All are standard actions, and those are fewer than a goal may have.
    fn milestones(&self) -> Vec<Id> {
        let position = |action: &ActionSetting| match action.kind {
            ActionKind::Milestone { position } if self.actions.contains(&action.id) => {
                Some((position, action.id.clone()))
            }
            _ => None,
        };
        let mut milestones: Vec<(u8, Id)> = self.advertiser.actions.iter().filter_map(position).collect();
        milestones.sort();
        milestones.into_iter().map(|(_, id)| id).collect()
    }

    /// Whether all actions that a rule names occur: without a purchase in the log, every cart would be abandoned.
    fn has_actions_of(&self, rule: &Rule) -> bool {
        rule.conditions().into_iter().all(|condition| match condition {
            Rule::Count { action, .. } | Rule::Recency { action, .. } | Rule::Stage(action) => {
                self.actions.contains(action)
            }
            _ => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MILESTONES_MAX;

    fn discovery(lines: &[&str]) -> Result<Discovery, DiscoveryError> {
        let mut discovery = Discovery::default();
        for line in lines {
            discovery.see(&Line::parse(line.as_bytes()).unwrap())?;
        }
        Ok(discovery)
    }

    fn action(advertiser: &str, action: &str) -> String {
        format!(r#"{{"time_ms":1,"kind":"action","user":"u","advertiser":"{advertiser}","action":"{action}"}}"#)
    }

    fn names<'a>(ids: impl IntoIterator<Item = &'a Id>) -> Vec<&'a str> {
        ids.into_iter().map(Id::as_str).collect()
    }

    #[test]
    fn settings_follow_the_log() {
        let conversion = r#"{"time_ms":2,"kind":"conversion","user":"u","advertiser":"zoo","goal":"visit"}"#;
        let opportunity = r#"{"time_ms":2,"kind":"opportunity","id":"o","user":"u","advertiser":"acme",
            "goal":"purchase","segments":["p/2","p/1","p/2"]}"#;
        let lines = [
            conversion,
            &action("acme", "purchase"),
            &action("acme", "wave"),
            opportunity,
            &action("acme", "add_to_cart"),
            &action("acme", "view_item"),
            &action("acme", "wave"),
        ];
        let settings = discovery(&lines).unwrap().settings(Span::hours(24));

        assert_eq!(names(settings.advertisers.iter().map(|advertiser| &advertiser.id)), ["zoo", "acme"]);
        let [zoo, acme] = &settings.advertisers[..] else { panic!("{settings:?}") };
        assert_eq!(names(zoo.goals.iter().map(|goal| &goal.id)), ["visit"]);
        assert_eq!((zoo.goals[0].milestones.len(), zoo.segments.len()), (0, 0));

        let goal = &acme.goals[0];
        assert_eq!(names([&goal.id]), ["purchase"]);
        assert_eq!((goal.click_window, goal.view_window), (Span::hours(24), Span::hours(24)));
        assert_eq!(goal.converting_action, None);
        assert_eq!(names(&goal.milestones), ["view_item", "add_to_cart", "purchase"]);
        let standard = Advertiser::new(Id::literal("acme")).actions;
        let (first, own) = acme.actions.split_at(standard.len());
        assert_eq!(first, standard);
        assert_eq!(names(own.iter().map(|action| &action.id)), ["wave"]);
        assert_eq!(own[0].kind, ActionKind::Secondary);
        let segments = names(acme.segments.iter().map(|segment| &segment.id));
        assert_eq!(segments, ["cart_abandoners", "repeat_viewers", "recent_buyers"], "nobody watched a video");
        assert_eq!(names(acme.externals.iter().map(|segment| &segment.id)), ["p/2", "p/1"]);
    }

    #[test]
    fn milestones_of_a_log_are_never_too_many() {
        let milestones = Advertiser::new(Id::literal("acme"))
            .actions
            .iter()
            .filter(|action| matches!(action.kind, ActionKind::Milestone { .. }))
            .count();
        assert!((1..=MILESTONES_MAX).contains(&milestones), "{milestones}");
    }

    #[test]
    fn too_much_is_refused_by_name() {
        let mut full = Discovery::default();
        let mut see = |line: String| full.see(&Line::parse(line.as_bytes()).unwrap());
        let room = ACTIONS_MAX - crate::action::STANDARD_ACTIONS.len();
        (0..room).for_each(|number| see(action("acme", &format!("own {number}"))).unwrap());
        assert_eq!(
            see(action("acme", "one more")).unwrap_err().to_string(),
            "action 'one more' is one more than the 255 that advertiser 'acme' can have, the standard actions included"
        );
        see(action("acme", "view_item")).expect("standard actions have their places");
        (1..ADVERTISERS_MAX).for_each(|number| see(action(&format!("a{number}"), "view_item")).unwrap());
        assert_eq!(
            see(action("late", "view_item")).unwrap_err().to_string(),
            "advertiser 'late' is one more than the 4096 that one engine can hold"
        );

        let mut goals = Discovery::default();
        let conversion = |goal: usize| {
            let line = format!(r#"{{"time_ms":1,"kind":"conversion","user":"u","advertiser":"a","goal":"g{goal}"}}"#);
            Line::parse(line.as_bytes()).unwrap()
        };
        (0..GOALS_MAX).for_each(|goal| goals.see(&conversion(goal)).unwrap());
        assert_eq!(
            goals.see(&conversion(GOALS_MAX)).unwrap_err().to_string(),
            "goal 'g1024' of advertiser 'a' is one more than the 1024 that one engine can hold"
        );
    }
}

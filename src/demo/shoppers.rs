//! Made-up shoppers of a made-up shop: they visit, look, watch, fill carts, and some of them buy.
//!
//! Who buys is decided by what a shopper has done and by an inclination that nobody sees; an ad shown to someone close
//! to buying brings some of them back. The bidder has to find out which.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// Products of the shop; a product's category and price follow from its number.
const PRODUCTS: u32 = 60;
const CATEGORIES: [&str; 4] = ["shoes", "jackets", "bags", "watches"];

/// Something that happens, in the order of time.
#[derive(Debug, Clone)]
pub struct Happening {
    /// When.
    pub at_ms: u64,
    /// To which shopper.
    pub shopper: usize,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone)]
pub enum What {
    /// The shopper does something in the shop.
    Act {
        /// Name of the action.
        action: &'static str,
        /// Number of the product.
        product: Option<u32>,
        /// Number of the order, for a purchase.
        order: Option<u64>,
    },
    /// The shopper is somewhere else, where an ad could be shown.
    Opportunity,
}

/// How far a shopper has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Unknown,
    Visited,
    Interested,
    Cart,
    Checkout,
}

#[derive(Debug)]
struct Shopper {
    /// Inclination to buy, 0 to 1. Nobody sees it.
    inclination: f64,
    stage: Stage,
    views: u32,
    favourite: u32,
    visits_left: u32,
    has_bought: bool,
}

/// What a shopper will do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Plan {
    Visit,
    Return,
    Happen(u32),
}

/// The shoppers and their plans.
pub struct World {
    rng: StdRng,
    shoppers: Vec<Shopper>,
    plans: BinaryHeap<Reverse<(u64, u64, usize, Plan)>>,
    /// What plans of the kind `Happen` refer to.
    happenings: Vec<What>,
    planned: u64,
    orders: u64,
    end_ms: u64,
}

/// Category of a product.
pub fn category(product: u32) -> &'static str {
    CATEGORIES[product as usize % CATEGORIES.len()]
}

/// Price of a product in whole units.
pub fn price(product: u32) -> f64 {
    20.0 + f64::from(product % 17) * 5.0
}

impl World {
    /// So many shoppers from a moment on for so many days.
    pub fn new(shoppers: usize, start_ms: u64, days: u64, seed: u64) -> World {
        let mut world = World {
            rng: StdRng::seed_from_u64(seed),
            shoppers: Vec::with_capacity(shoppers),
            plans: BinaryHeap::new(),
            happenings: Vec::new(),
            planned: 0,
            orders: 0,
            end_ms: start_ms + days * DAY_MS,
        };
        for number in 0..shoppers {
            let draw: f64 = world.rng.random();
            let shopper = Shopper {
                inclination: draw * draw,
                stage: Stage::Unknown,
                views: 0,
                favourite: world.rng.random_range(0..PRODUCTS),
                visits_left: world.rng.random_range(1..6),
                has_bought: false,
            };
            world.shoppers.push(shopper);
            let first = start_ms + world.rng.random_range(0..days * DAY_MS * 9 / 10);
            world.plan(first, number, Plan::Visit);
            // Some are met elsewhere before they ever come.
            if world.rng.random_bool(0.5) {
                let before = start_ms + world.rng.random_range(0..days * DAY_MS);
                world.plan_happening(before, number, What::Opportunity);
            }
        }
        world
    }

    /// What happens next; `None` once the days are over.
    pub fn next(&mut self) -> Option<Happening> {
        loop {
            let Reverse((at_ms, _, shopper, plan)) = self.plans.pop()?;
            if at_ms > self.end_ms {
                return None;
            }
            match plan {
                Plan::Visit => self.visit(at_ms, shopper, false),
                Plan::Return => self.visit(at_ms, shopper, true),
                Plan::Happen(number) => {
                    let what = self.happenings[number as usize].clone();
                    return Some(Happening { at_ms, shopper, what });
                }
            }
        }
    }

    /// An ad was shown: true when the shopper clicks it, and comes back to buy within the hour.
    pub fn shown(&mut self, shopper: usize, at_ms: u64) -> bool {
        let person = &self.shoppers[shopper];
        let by_stage = match (person.has_bought, person.stage) {
            (true, _) => 0.001,
            (_, Stage::Unknown) => 0.001,
            (_, Stage::Visited) => 0.004,
            (_, Stage::Interested) => 0.02,
            (_, Stage::Cart) => 0.10,
            (_, Stage::Checkout) => 0.16,
        };
        let comes_back = self.rng.random_bool(by_stage * (0.4 + 1.2 * person.inclination));
        if comes_back {
            let after = self.rng.random_range(MINUTE_MS..40 * MINUTE_MS);
            self.plan(at_ms + after, shopper, Plan::Return);
        }
        comes_back
    }

    fn plan(&mut self, at_ms: u64, shopper: usize, plan: Plan) {
        self.planned += 1;
        self.plans.push(Reverse((at_ms, self.planned, shopper, plan)));
    }

    fn plan_happening(&mut self, at_ms: u64, shopper: usize, what: What) {
        self.happenings.push(what);
        let number = (self.happenings.len() - 1) as u32;
        self.plan(at_ms, shopper, Plan::Happen(number));
    }

    /// Plans all that a shopper does in one visit, and what comes of it. Who returns for an ad comes to buy.
    fn visit(&mut self, start_ms: u64, shopper: usize, returns: bool) {
        let mut at_ms = start_ms;
        let inclination = self.shoppers[shopper].inclination;
        let mut act = |world: &mut World, pause_s: u64, action, product| {
            at_ms += world.rng.random_range(1..=pause_s) * 1_000;
            world.plan_happening(at_ms, shopper, What::Act { action, product, order: None });
            at_ms
        };
        act(self, 1, "session_start", None);
        act(self, 5, "page_view", None);
        if returns {
            let product = self.shoppers[shopper].favourite;
            act(self, 60, "view_item", Some(product));
            act(self, 60, "add_to_cart", Some(product));
            let last = act(self, 120, "begin_checkout", Some(product));
            self.buy(last, shopper, product);
            return;
        }
        let views = 1 + (self.rng.random::<f64>() * (1.5 + 5.0 * inclination)) as u32;
        for _ in 0..views {
            let product = self.choose(shopper);
            act(self, 60, "view_item", Some(product));
            self.raise(shopper, Stage::Visited);
            self.shoppers[shopper].views += 1;
            if self.shoppers[shopper].views >= 3 {
                self.raise(shopper, Stage::Interested);
            }
            self.watch(shopper, product, &mut act);
            for (action, chance) in
                [("search", 0.1), ("compare_products", 0.05), ("newsletter_signup", 0.03), ("share", 0.02)]
            {
                if self.rng.random_bool(chance) {
                    act(self, 40, action, Some(product));
                }
            }
            if self.rng.random_bool(0.03 + 0.2 * inclination) {
                act(self, 60, "add_to_cart", Some(product));
                self.shoppers[shopper].favourite = product;
                self.raise(shopper, Stage::Cart);
            }
        }
        let mut last = act(self, 30, "page_view", None);
        if self.shoppers[shopper].stage >= Stage::Cart && self.rng.random_bool(0.25 + 0.3 * inclination) {
            let product = self.shoppers[shopper].favourite;
            last = act(self, 90, "begin_checkout", Some(product));
            self.raise(shopper, Stage::Checkout);
            if self.rng.random_bool(0.45) {
                self.buy(last, shopper, product);
            }
        }
        self.go_elsewhere(last, shopper);
    }

    /// A product's video, watched for as long as it pleases.
    fn watch(
        &mut self,
        shopper: usize,
        product: u32,
        act: &mut impl FnMut(&mut World, u64, &'static str, Option<u32>) -> u64,
    ) {
        let inclination = self.shoppers[shopper].inclination;
        if !self.rng.random_bool(0.2) {
            return;
        }
        act(self, 10, "video_start", Some(product));
        for quartile in ["video_25", "video_50", "video_75", "video_complete"] {
            if !self.rng.random_bool(0.55 + 0.35 * inclination) {
                return;
            }
            act(self, 15, quartile, Some(product));
        }
    }

    fn choose(&mut self, shopper: usize) -> u32 {
        if self.rng.random_bool(0.4) { self.shoppers[shopper].favourite } else { self.rng.random_range(0..PRODUCTS) }
    }

    fn raise(&mut self, shopper: usize, stage: Stage) {
        let person = &mut self.shoppers[shopper];
        person.stage = person.stage.max(stage);
    }

    fn buy(&mut self, after_ms: u64, shopper: usize, product: u32) {
        self.orders += 1;
        let order = self.orders;
        let purchase = What::Act { action: "purchase", product: Some(product), order: Some(order) };
        self.plan_happening(after_ms + 30_000, shopper, purchase);
        let person = &mut self.shoppers[shopper];
        (person.has_bought, person.stage, person.views) = (true, Stage::Visited, 0);
    }

    /// Plans the places with ads the shopper sees after a visit, and the next visit.
    fn go_elsewhere(&mut self, after_ms: u64, shopper: usize) {
        for _ in 0..self.rng.random_range(2..8) {
            let later = after_ms + self.rng.random_range(5 * MINUTE_MS..2 * DAY_MS);
            self.plan_happening(later, shopper, What::Opportunity);
        }
        let person = &mut self.shoppers[shopper];
        person.visits_left -= 1;
        if person.visits_left > 0 {
            let pause = self.rng.random_range(DAY_MS / 4..4 * DAY_MS);
            self.plan(after_ms + pause, shopper, Plan::Visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(seed: u64) -> Vec<String> {
        let mut world = World::new(200, 1_700_000_000_000, 7, seed);
        let mut seen = Vec::new();
        while let Some(happening) = world.next() {
            if matches!(happening.what, What::Opportunity) {
                world.shown(happening.shopper, happening.at_ms);
            }
            seen.push(format!("{happening:?}"));
        }
        seen
    }

    #[test]
    fn the_same_seed_gives_the_same_world() {
        assert_eq!(play(1), play(1));
        assert_ne!(play(1), play(2));
    }

    #[test]
    fn time_never_goes_back_and_all_kinds_happen() {
        let mut world = World::new(500, 1_700_000_000_000, 7, 3);
        let (mut last, mut bought, mut asked, mut clicked) = (0, 0, 0, 0);
        while let Some(happening) = world.next() {
            assert!(happening.at_ms >= last);
            last = happening.at_ms;
            match happening.what {
                What::Act { order: Some(_), .. } => bought += 1,
                What::Opportunity => {
                    asked += 1;
                    clicked += u32::from(world.shown(happening.shopper, happening.at_ms));
                }
                What::Act { .. } => {}
            }
        }
        assert!(bought > clicked && clicked > 20 && asked > 1_000, "{bought} {clicked} {asked}");
    }
}

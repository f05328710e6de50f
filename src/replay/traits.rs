//! What is known of an opportunity when it is scored, as names and values: for slices, and for the search for leaks.

use std::collections::HashMap;

use crate::hash::{self, KeyHasher};

/// Traits of one opportunity; what comes beyond is left out.
pub const TRAITS_MAX: usize = 96;
/// Names over all kinds; opportunities have no traits of names beyond.
const NAMES_MAX: usize = 1_024;
/// Values of one name that are told apart; further ones count as one, called "(others)".
const VALUES_MAX: u32 = 10_000;

/// Where a trait comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An entry of the request's context.
    Context,
    /// A number of the request, to a sixteenth of its power of two.
    Number,
    /// A segment the user is in.
    Segment,
    /// The advertised product.
    Item,
    /// The advertised category.
    Category,
    /// An action that the user had done, by how often and how long ago.
    Did,
}

/// A name with its values.
#[derive(Debug, Clone)]
pub struct Name {
    /// Where it comes from.
    pub kind: Kind,
    /// The name, as in the log; empty for items and categories.
    pub name: String,
    /// Its values, in the order of first sight.
    pub values: Vec<Trait>,
}

/// Number of one name and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trait(u32);

/// All names and values that were seen, numbered.
#[derive(Debug, Clone, Default)]
pub struct Traits {
    names: Vec<Name>,
    places: HashMap<u64, usize, KeyHasher>,
    /// For each trait, the place of its name and its value.
    all: Vec<(u32, String)>,
    /// By the hash of kind, name and value.
    known: HashMap<u64, Trait, KeyHasher>,
}

impl Traits {
    /// The number of a name's value; `None` when there are too many names.
    pub fn of(&mut self, kind: Kind, name: &str, value: &str) -> Option<Trait> {
        self.hashed(kind, (hash::text(name), || name), (hash::text(value), || value.to_owned()))
    }

    /// The same for a name and a value that are told by hashes, and by their texts only when they are new.
    pub fn hashed<'a>(
        &mut self,
        kind: Kind,
        name: (u64, impl FnOnce() -> &'a str),
        value: (u64, impl FnOnce() -> String),
    ) -> Option<Trait> {
        let of_name = hash::mix(kind as u64, name.0);
        let key = hash::mix(of_name, value.0);
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let place = self.name(kind, of_name, name.1)?;
        let entry = &mut self.names[place];
        // The last place is for all further values.
        let count = entry.values.len() as u32;
        if count > VALUES_MAX {
            return entry.values.last().copied();
        }
        let value = if count == VALUES_MAX { "(others)".to_owned() } else { value.1() };
        let id = Trait(self.all.len() as u32);
        self.all.push((place as u32, value));
        entry.values.push(id);
        self.known.insert(key, id);
        Some(id)
    }

    fn name<'a>(&mut self, kind: Kind, hash: u64, name: impl FnOnce() -> &'a str) -> Option<usize> {
        if let Some(place) = self.places.get(&hash) {
            return Some(*place);
        }
        if self.names.len() == NAMES_MAX {
            return None;
        }
        self.names.push(Name { kind, name: name().to_owned(), values: Vec::new() });
        self.places.insert(hash, self.names.len() - 1);
        Some(self.names.len() - 1)
    }

    /// All names, in the order of first sight.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The value of a trait.
    pub fn value(&self, of: Trait) -> &str {
        &self.all[of.0 as usize].1
    }

    /// The place of a trait's name among [`Traits::names`].
    pub fn name_of(&self, of: Trait) -> usize {
        self.all[of.0 as usize].0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_numbered_once_and_bounded() {
        let mut traits = Traits::default();
        let phone = traits.of(Kind::Context, "device", "phone").unwrap();
        let segment = traits.of(Kind::Segment, "device", "phone").unwrap();
        assert_eq!(traits.of(Kind::Context, "device", "phone"), Some(phone));
        assert_ne!(phone, segment);
        assert_eq!((traits.value(phone), traits.name_of(segment)), ("phone", 1));
        for n in 0..VALUES_MAX + 5 {
            traits.of(Kind::Item, "", &n.to_string()).unwrap();
        }
        let items = &traits.names()[2];
        assert_eq!(items.values.len() as u32, VALUES_MAX + 1);
        assert_eq!(traits.value(*items.values.last().unwrap()), "(others)");
        for n in 3..NAMES_MAX {
            assert!(traits.of(Kind::Context, &n.to_string(), "x").is_some());
        }
        assert_eq!(traits.of(Kind::Context, "one more", "x"), None);
        assert_eq!(traits.of(Kind::Context, "device", "phone"), Some(phone));
    }
}

//! Names in the order of their codes.

use std::collections::HashMap;

use super::bytes::{Read, Reader};
use crate::hash::KeyHasher;
use crate::ids::Id;

/// Names, each with a number: the order of first sight.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    names: Vec<Id>,
    numbers: HashMap<Id, usize, KeyHasher>,
}

impl Names {
    /// The number of a name; given now if it is new.
    pub fn number(&mut self, name: &Id) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }

    /// The number of a known name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// All names in the order of their numbers.
    pub fn all(&self) -> &[Id] {
        &self.names
    }

    /// Names in the order of their numbers; `None` where one comes twice.
    pub fn from_list(list: Vec<Id>) -> Option<Names> {
        let mut names = Names::default();
        list.iter().enumerate().all(|(number, name)| names.number(name) == number).then_some(names)
    }

    /// Names out of their canonical list, at most so many.
    pub fn read(bytes: &mut Reader<'_>, most: usize) -> Read<Names> {
        let fault = bytes.fault("a name comes twice");
        Names::from_list(bytes.list(most, Reader::name)?).ok_or(fault)
    }
}

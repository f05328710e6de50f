//! Canonical bytes of single values, little-endian: written without a doubt, read with all of them.

use super::statistics::{Audience, Cell, Outcome, Support, Watched};
use crate::ids::{ActionCode, GoalCode, Id, ItemKey, SegmentCode};
use crate::settings::SUPPORT_MAX;
use crate::stats::decay::Decayed;
use crate::stats::hyperloglog::Distinct;
use crate::units::{Tick, Timestamp};

/// What is wrong with some bytes, and where among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub offset: usize,
    pub what: &'static str,
}

pub(super) type Read<T> = Result<T, Fault>;

/// Writes values; [`Reader`] has a counterpart of each.
pub(super) trait Bytes {
    fn byte(&mut self, byte: u8);
    fn short(&mut self, short: u16);
    fn word(&mut self, word: u32);
    fn long(&mut self, long: u64);
    fn number(&mut self, number: f64);
    fn number32(&mut self, number: f32);
    fn flag(&mut self, flag: bool);
    fn name(&mut self, id: &Id);
    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T));
    fn list<T>(&mut self, list: &[T], write: impl FnMut(&mut Self, &T));
    fn item(&mut self, item: Option<ItemKey>);
    fn segment(&mut self, segment: &SegmentCode);
    fn count(&mut self, count: &Decayed);
    fn users(&mut self, users: &Distinct);
    fn outcome(&mut self, outcome: &Outcome);
    fn cell(&mut self, cell: &Cell);
    fn watched(&mut self, watched: &Watched);
    fn audience(&mut self, audience: &Audience);
    fn support(&mut self, support: &Support);
}

impl Bytes for Vec<u8> {
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }

    fn short(&mut self, short: u16) {
        self.extend_from_slice(&short.to_le_bytes());
    }

    fn word(&mut self, word: u32) {
        self.extend_from_slice(&word.to_le_bytes());
    }

    fn long(&mut self, long: u64) {
        self.extend_from_slice(&long.to_le_bytes());
    }

    fn number(&mut self, number: f64) {
        self.long(number.to_bits());
    }

    fn number32(&mut self, number: f32) {
        self.word(number.to_bits());
    }

    fn flag(&mut self, flag: bool) {
        self.push(u8::from(flag));
    }

    fn name(&mut self, id: &Id) {
        // Identifiers have 1 to 128 bytes.
        self.push(id.as_str().len() as u8);
        self.extend_from_slice(id.as_str().as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.word(list.len() as u32);
        list.iter().for_each(|item| write(self, item));
    }

    fn item(&mut self, item: Option<ItemKey>) {
        self.option(item, |bytes, key| bytes.word(key.0));
    }

    fn segment(&mut self, segment: &SegmentCode) {
        self.short(segment.0);
    }

    fn count(&mut self, count: &Decayed) {
        self.number(count.value);
        self.word(count.tick.0);
    }

    fn users(&mut self, users: &Distinct) {
        users.image(self);
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.count(&outcome.impressions);
        self.count(&outcome.positives);
    }

    fn cell(&mut self, cell: &Cell) {
        for count in [&cell.impressions, &cell.clicks, &cell.conversions, &cell.value, &cell.cost] {
            self.count(count);
        }
        self.users(&cell.users);
        self.outcome(&cell.labels);
    }

    fn watched(&mut self, watched: &Watched) {
        self.outcome(&watched.outcome);
        self.count(&watched.predicted);
    }

    fn audience(&mut self, audience: &Audience) {
        self.count(&audience.sessions);
        self.list(&audience.actions, Bytes::count);
        self.users(&audience.users);
    }

    fn support(&mut self, support: &Support) {
        self.list(support.ids(), |bytes, id| bytes.long(*id));
    }
}

/// Reads front to back what [`Bytes`] wrote. Whatever the bytes are, it gives values or a [`Fault`].
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(all: &'a [u8]) -> Reader<'a> {
        Reader { all, at: 0 }
    }

    /// A fault at the place that was reached.
    pub fn fault(&self, what: &'static str) -> Fault {
        Fault { offset: self.at, what }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        &self.all[self.at..]
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.all.len()
    }

    /// The end, and nothing beyond it.
    pub fn end(&self) -> Read<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.fault("there is more than belongs here")) }
    }

    pub fn slice(&mut self, length: usize) -> Read<&'a [u8]> {
        let taken = self.rest().get(..length).ok_or_else(|| self.fault("it ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    pub fn bytes<const N: usize>(&mut self) -> Read<[u8; N]> {
        let taken = *self.rest().first_chunk().ok_or_else(|| self.fault("it ends too early"))?;
        self.at += N;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Read<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    pub fn short(&mut self) -> Read<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub fn word(&mut self) -> Read<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub fn long(&mut self) -> Read<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    pub fn tick(&mut self) -> Read<Tick> {
        self.word().map(Tick)
    }

    pub fn moment(&mut self) -> Read<Timestamp> {
        self.long().map(Timestamp)
    }

    /// A finite number.
    pub fn number(&mut self) -> Read<f64> {
        let fault = self.fault("a number is not finite");
        self.long().map(f64::from_bits).and_then(|number| if number.is_finite() { Ok(number) } else { Err(fault) })
    }

    /// A finite number.
    pub fn number32(&mut self) -> Read<f32> {
        let fault = self.fault("a number is not finite");
        self.word().map(f32::from_bits).and_then(|number| if number.is_finite() { Ok(number) } else { Err(fault) })
    }

    pub fn numbers<const N: usize>(&mut self) -> Read<[f64; N]> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Ok(numbers)
    }

    pub fn numbers32<const N: usize>(&mut self) -> Read<[f32; N]> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = self.number32()?;
        }
        Ok(numbers)
    }

    pub fn flag(&mut self) -> Read<bool> {
        let fault = self.fault("a flag is neither 0 nor 1");
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(fault),
        }
    }

    pub fn name(&mut self) -> Read<Id> {
        let fault = self.fault("a name is no identifier");
        let length = self.byte()?;
        let text = std::str::from_utf8(self.slice(length.into())?).map_err(|_| fault)?;
        Id::new(text).map_err(|_| fault)
    }

    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// A list of at most so many. Each takes a byte or more, so that no claim of a length takes more memory than the
    /// bytes have.
    pub fn list<T>(&mut self, most: usize, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let fault = self.fault("a list is too long");
        let length = self.word()? as usize;
        if length > most || length > self.rest().len() {
            return Err(fault);
        }
        (0..length).map(|_| read(self)).collect()
    }

    pub fn item(&mut self) -> Read<Option<ItemKey>> {
        self.option(|bytes| bytes.word().map(ItemKey))
    }

    pub fn segment(&mut self) -> Read<SegmentCode> {
        self.short().map(SegmentCode)
    }

    pub fn goal(&mut self) -> Read<GoalCode> {
        self.short().map(GoalCode)
    }

    /// A code that was given: those begin at 1.
    pub fn action(&mut self) -> Read<ActionCode> {
        let fault = self.fault("an action has the code 0");
        self.byte().and_then(|code| if code == 0 { Err(fault) } else { Ok(ActionCode(code)) })
    }

    pub fn count(&mut self) -> Read<Decayed> {
        Ok(Decayed { value: self.number()?, tick: self.tick()? })
    }

    pub fn users(&mut self) -> Read<Distinct> {
        let fault = self.fault("these are no distinct users");
        let (users, length) = Distinct::from_image(self.rest()).ok_or(fault)?;
        self.at += length;
        Ok(users)
    }

    pub fn outcome(&mut self) -> Read<Outcome> {
        Ok(Outcome { impressions: self.count()?, positives: self.count()? })
    }

    pub fn cell(&mut self) -> Read<Cell> {
        Ok(Cell {
            impressions: self.count()?,
            clicks: self.count()?,
            conversions: self.count()?,
            value: self.count()?,
            cost: self.count()?,
            users: self.users()?,
            labels: self.outcome()?,
        })
    }

    pub fn watched(&mut self) -> Read<Watched> {
        Ok(Watched { outcome: self.outcome()?, predicted: self.count()? })
    }

    pub fn audience(&mut self) -> Read<Audience> {
        Ok(Audience {
            sessions: self.count()?,
            actions: self.list(crate::settings::ACTIONS_MAX, Reader::count)?,
            users: self.users()?,
        })
    }

    pub fn support(&mut self) -> Read<Support> {
        self.list(SUPPORT_MAX as usize, Reader::long).map(Support::from_ids)
    }
}

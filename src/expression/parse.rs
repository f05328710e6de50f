//! Reads an expression: tokens by recursive descent, one function a level of binding.

use std::ops::{Range, RangeInclusive};

use super::fault::{ExpressionError, Fault};
use super::normal::{all, any, not};
use super::token::{Compare, Is, Token, tokens};
use crate::action::ActionKind;
use crate::ids::Id;
use crate::settings::{
    ActionSetting, RULE_DEPTH_MAX, RULES_PER_SEGMENT_MAX, Rule, WINDOWED_COUNT_MAX, is_external_name,
};
use crate::units::Span;
use crate::wording::{instead, nearest, shown};

/// Longest expression in bytes. A longer one is refused unread.
pub const EXPRESSION_BYTES_MAX: usize = 32 << 10;
/// Spans that a condition may look back.
pub const WINDOWS: RangeInclusive<Span> = Span::seconds(1)..=Span::days(3_650);

const FUNCTIONS: [&str; 6] = ["count", "did", "recency", "stage", "sessions", "external"];
const CONDITION: &str = "a condition, such as did(purchase, 30d)";
const SPAN: &str = "a span of time, such as 7d";
const COUNT: &str = "a whole number";

/// Reads an expression against the actions there are.
///
/// # Errors
/// Says at which character what is wrong: a word that does not belong there, an unknown name with the one that was
/// probably meant, a limit with its value.
pub fn parse(text: &str, actions: &[ActionSetting]) -> Result<Rule, ExpressionError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let end = text.floor_char_boundary(EXPRESSION_BYTES_MAX);
        return Err(ExpressionError::new(text, end..text.len(), Fault::TooLong { bytes: text.len() }));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, next: 0, open: 0, actions };
    if tokens.is_empty() {
        return Err(parser.error(0..text.len(), Fault::Empty));
    }
    let rule = parser.either()?;
    match parser.peek() {
        None => Ok(rule),
        Some(_) => Err(parser.unexpected("'and', 'or' or the end", &["and", "or"])),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Token<'t>],
    /// Place of the next token.
    next: usize,
    /// Parentheses that are open.
    open: usize,
    actions: &'t [ActionSetting],
}

type Parsed<T> = Result<T, ExpressionError>;

impl<'t> Parser<'t> {
    /// Conditions joined by `or`.
    fn either(&mut self) -> Parsed<Rule> {
        self.joined("or", Parser::both, any)
    }

    /// Conditions joined by `and`.
    fn both(&mut self) -> Parsed<Rule> {
        self.joined("and", Parser::negation, all)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Parser<'t>) -> Parsed<Rule>,
        join: fn(Vec<Rule>) -> Rule,
    ) -> Parsed<Rule> {
        let start = self.next;
        let mut parts = vec![part(self)?];
        while self.take(&Is::Word(word)) {
            parts.push(part(self)?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => self.bounded(start, join(parts)),
        }
    }

    fn negation(&mut self) -> Parsed<Rule> {
        let start = self.next;
        let mut is_negated = false;
        while self.take(&Is::Word("not")) {
            is_negated = !is_negated;
        }
        let rule = self.condition()?;
        if is_negated { self.bounded(start, not(rule)) } else { Ok(rule) }
    }

    fn condition(&mut self) -> Parsed<Rule> {
        let start = self.next;
        let Some(Token { is, part }) = self.peek() else { return Err(self.unexpected(CONDITION, &[])) };
        match *is {
            Is::Open => self.group(),
            Is::Word(word) => {
                self.next += 1;
                let rule = match word {
                    "count" => self.count()?,
                    "did" => self.did()?,
                    "recency" => self.recency()?,
                    "stage" => self.stage()?,
                    "sessions" => self.sessions()?,
                    "external" => self.external()?,
                    "and" | "or" => {
                        self.next = start;
                        return Err(self.unexpected(CONDITION, &[]));
                    }
                    unknown => return Err(self.error(part.clone(), self.unknown_function(unknown))),
                };
                self.bounded(start, rule)
            }
            _ => Err(self.unexpected(CONDITION, &[])),
        }
    }

    fn group(&mut self) -> Parsed<Rule> {
        if self.open == RULE_DEPTH_MAX {
            return Err(self.error_at(self.next, Fault::TooDeep));
        }
        self.open += 1;
        self.next += 1;
        let rule = self.either()?;
        self.expect(&Is::Close, "'and', 'or' or ')'", &["and", "or"])?;
        self.open -= 1;
        Ok(rule)
    }

    /// `(view_item, 7d) >= 3`
    fn count(&mut self) -> Parsed<Rule> {
        let (action, window) = self.action_and_window()?;
        let (low, high) = self.comparison("a comparison, such as >= 3")?;
        self.compared(low, high, |parser, at_least, part| match u8::try_from(at_least) {
            Ok(0) => Err(parser.error(part, Fault::Constant { holds: low.is_some() })),
            Ok(at_least) if at_least <= WINDOWED_COUNT_MAX => {
                Ok(Rule::Count { action: action.clone(), window, at_least })
            }
            _ => Err(parser.error(part, Fault::Occurrences { needed: at_least })),
        })
    }

    /// `(purchase, 30d)`
    fn did(&mut self) -> Parsed<Rule> {
        let (action, window) = self.action_and_window()?;
        Ok(Rule::Count { action, window, at_least: 1 })
    }

    /// `(view_item) < 2h`
    fn recency(&mut self) -> Parsed<Rule> {
        self.expect(&Is::Open, "'('", &[])?;
        let action = self.action()?;
        self.expect(&Is::Close, "')'", &[])?;
        let is_below = self.below_or_at_least()?;
        let less_than = self.window()?;
        let rule = Rule::Recency { action, less_than };
        Ok(if is_below { rule } else { not(rule) })
    }

    /// `>= add_to_cart`
    fn stage(&mut self) -> Parsed<Rule> {
        let is_below = self.below_or_at_least()?;
        let at = self.next;
        let name = self.name("a milestone, such as add_to_cart")?;
        let known = self.actions.iter().find(|action| action.id.as_str() == name);
        match known.map(|action| action.kind) {
            Some(ActionKind::Milestone { .. }) => {
                let rule = Rule::Stage(self.id(at, &name)?);
                Ok(if is_below { not(rule) } else { rule })
            }
            _ => {
                let milestones = self.milestones();
                let nearest = nearest(&name, milestones.iter().copied()).map(str::to_owned);
                let fault = Fault::NoMilestone { name: shown(&name), nearest, milestones: milestones.join(", ") };
                Err(self.error_at(at, fault))
            }
        }
    }

    /// `>= 3`
    fn sessions(&mut self) -> Parsed<Rule> {
        let (low, high) = self.comparison("a comparison, such as >= 3")?;
        self.compared(low, high, |parser, needed, part| match u16::try_from(needed) {
            Ok(at_least) => Ok(Rule::Sessions(at_least)),
            Err(_) => Err(parser.error(part, Fault::Sessions { needed })),
        })
    }

    /// `(provider/id)`
    fn external(&mut self) -> Parsed<Rule> {
        self.expect(&Is::Open, "'('", &[])?;
        let at = self.next;
        let name = self.name("the name of an external segment, such as provider/id")?;
        let id = self.id(at, &name)?;
        if !is_external_name(&name) {
            return Err(self.error_at(at, Fault::External { name: shown(&name) }));
        }
        self.expect(&Is::Close, "')'", &[])?;
        Ok(Rule::External(id))
    }

    fn action_and_window(&mut self) -> Parsed<(Id, Span)> {
        self.expect(&Is::Open, "'('", &[])?;
        let action = self.action()?;
        self.expect(&Is::Comma, "',' and a span of time, such as 7d", &[])?;
        let window = self.window()?;
        self.expect(&Is::Close, "')'", &[])?;
        Ok((action, window))
    }

    fn action(&mut self) -> Parsed<Id> {
        let at = self.next;
        let name = self.name("an action, such as view_item")?;
        if let Some(known) = self.actions.iter().find(|action| action.id.as_str() == name) {
            return Ok(known.id.clone());
        }
        let known: Vec<&str> = self.actions.iter().map(|action| action.id.as_str()).collect();
        Err(self.error_at(at, Fault::UnknownAction { name: shown(&name), instead: instead(&name, &known) }))
    }

    fn window(&mut self) -> Parsed<Span> {
        let at = self.next;
        let Some(Token { is: Is::Word(word), .. }) = self.peek() else { return Err(self.unexpected(SPAN, &[])) };
        let span = Span::parse(word).map_err(|error| self.error_at(at, error))?;
        if !WINDOWS.contains(&span) || span != Span::seconds(span.whole_seconds()) {
            return Err(self.error_at(at, Fault::Window { span }));
        }
        self.next += 1;
        Ok(span)
    }

    /// Whether `<` stands here rather than `>=`.
    fn below_or_at_least(&mut self) -> Parsed<bool> {
        match self.peek().map(|token| &token.is) {
            Some(Is::Compare(compare @ (Compare::Below | Compare::AtLeast))) => {
                self.next += 1;
                Ok(*compare == Compare::Below)
            }
            _ => Err(self.unexpected("'<' or '>='", &[])),
        }
    }

    /// A comparison with a whole number, as the least number that is enough and the least that is too much.
    fn comparison(&mut self, expected: &'static str) -> Parsed<(Option<u64>, Option<u64>)> {
        let Some(Token { is: Is::Compare(compare), .. }) = self.peek() else {
            return Err(self.unexpected(expected, &[]));
        };
        self.next += 1;
        let number = match self.peek() {
            // What is beyond 64 bits is beyond every limit as well.
            Some(Token { is: Is::Word(word), .. }) if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                word.parse().unwrap_or(u64::MAX)
            }
            _ => return Err(self.unexpected(COUNT, &[])),
        };
        self.next += 1;
        let more = number.saturating_add(1);
        Ok(match compare {
            Compare::AtLeast => (Some(number), None),
            Compare::Above => (Some(more), None),
            Compare::Below => (None, Some(number)),
            Compare::AtMost => (None, Some(more)),
            Compare::Equal => ((number > 0).then_some(number), Some(more)),
        })
    }

    /// The rule of a comparison, from that of "at least so many". Errors point at the number.
    fn compared(
        &self,
        low: Option<u64>,
        high: Option<u64>,
        at_least: impl Fn(&Parser<'t>, u64, Range<usize>) -> Parsed<Rule>,
    ) -> Parsed<Rule> {
        let part = self.tokens[self.next - 1].part.clone();
        let mut parts = Vec::new();
        if let Some(low) = low {
            parts.push(at_least(self, low, part.clone())?);
        }
        if let Some(high) = high {
            parts.push(not(at_least(self, high, part)?));
        }
        Ok(all(parts))
    }

    /// A bare or quoted name.
    fn name(&mut self, expected: &'static str) -> Parsed<String> {
        let name = match self.peek().map(|token| &token.is) {
            Some(Is::Word(word)) => (*word).to_owned(),
            Some(Is::Quoted(name)) => name.clone(),
            _ => return Err(self.unexpected(expected, &[])),
        };
        self.next += 1;
        Ok(name)
    }

    fn id(&self, at: usize, name: &str) -> Parsed<Id> {
        Id::new(name).map_err(|error| self.error_at(at, error))
    }

    fn unknown_function(&self, name: &str) -> Fault {
        let wrong = name.to_owned();
        if self.actions.iter().any(|action| action.id.as_str() == name) {
            return Fault::BareAction { name: wrong };
        }
        Fault::UnknownFunction { name: shown(name), instead: instead(name, &FUNCTIONS) }
    }

    /// Names of all milestones in the order of their positions.
    fn milestones(&self) -> Vec<&'t str> {
        let mut all: Vec<(u8, &str)> = Vec::new();
        for action in self.actions {
            if let ActionKind::Milestone { position } = action.kind {
                all.push((position, action.id.as_str()));
            }
        }
        all.sort_unstable();
        all.into_iter().map(|(_, name)| name).collect()
    }

    /// A rule that begins with the token at `start`, if it is within the limits of rules.
    fn bounded(&self, start: usize, rule: Rule) -> Parsed<Rule> {
        let (depth, count) = size(&rule);
        let fault = match (depth > RULE_DEPTH_MAX, count > RULES_PER_SEGMENT_MAX) {
            (true, _) => Fault::TooDeep,
            (_, true) => Fault::TooMany,
            _ => return Ok(rule),
        };
        Err(self.error_at(start, fault))
    }

    fn peek(&self) -> Option<&'t Token<'t>> {
        self.tokens.get(self.next)
    }

    /// Goes past a token if it is the next one.
    fn take(&mut self, is: &Is<'_>) -> bool {
        let is_next = self.peek().is_some_and(|token| token.is == *is);
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, is: &Is<'_>, expected: &'static str, words: &[&'static str]) -> Parsed<()> {
        if self.take(is) { Ok(()) } else { Err(self.unexpected(expected, words)) }
    }

    /// The error that the next token is not what is expected; one of `words` may have been meant.
    fn unexpected(&self, expected: &'static str, words: &[&'static str]) -> ExpressionError {
        let Some(token) = self.peek() else {
            let end = self.text.trim_end().len();
            let fault = Fault::Expected { expected, found: "the end".to_owned(), nearest: None };
            return self.error(end..end, fault);
        };
        let nearest = match token.is {
            Is::Word(word) => nearest(word, words.iter().copied()),
            _ => None,
        };
        let found = format!("'{}'", shown(&self.text[token.part.clone()]));
        let nearest = words.iter().copied().find(|word| nearest == Some(*word));
        self.error(token.part.clone(), Fault::Expected { expected, found, nearest })
    }

    fn error_at(&self, token: usize, fault: impl Into<Fault>) -> ExpressionError {
        self.error(self.tokens[token].part.clone(), fault)
    }

    fn error(&self, part: Range<usize>, fault: impl Into<Fault>) -> ExpressionError {
        ExpressionError::new(self.text, part, fault)
    }
}

/// Depth of a rule, and how many rules it holds, itself included.
fn size(rule: &Rule) -> (usize, usize) {
    let (depth, count) = match rule {
        Rule::All(parts) | Rule::Any(parts) => {
            parts.iter().map(size).fold((0, 0), |(deep, count), (depth, more)| (deep.max(depth), count + more))
        }
        Rule::Not(part) => size(part),
        _ => (0, 0),
    };
    (depth + 1, count + 1)
}

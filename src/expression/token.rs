//! The words and signs of an expression.

use std::ops::Range;

use winnow::Parser;
use winnow::combinator::{alt, delimited, repeat};
use winnow::error::EmptyError;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{take_till, take_while};

use super::fault::{ExpressionError, Fault};

/// What other languages write, longest first, and what to write here.
const FOREIGN: [(&str, &str); 11] = [
    ("&&", "write and"),
    ("||", "write or"),
    ("!=", "write not and =="),
    ("=>", "write >="),
    ("=<", "write <="),
    ("=", "write =="),
    ("≥", "write >="),
    ("≤", "write <="),
    ("!", "write not"),
    ("&", "write and"),
    ("|", "write or"),
];
const FOREIGN_REMEDY: &str = "put a name with other characters than letters, digits and _ . : / - in quotes";

/// A word or sign, and where it stands in bytes of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'t> {
    pub is: Is<'t>,
    pub part: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Is<'t> {
    /// A keyword, name, number or span.
    Word(&'t str),
    /// A name in quotes, without them.
    Quoted(String),
    Compare(Compare),
    Open,
    Close,
    Comma,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    AtLeast,
    Above,
    Below,
    AtMost,
    Equal,
}

type Input<'t> = LocatingSlice<&'t str>;

/// Whether a character may stand in a name without quotes.
pub(super) fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '-')
}

/// All tokens of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ExpressionError> {
    let mut input = LocatingSlice::new(text);
    let mut found = Vec::new();
    loop {
        space(&mut input).unwrap_or_default();
        let start = input.current_token_start();
        if start == text.len() {
            return Ok(found);
        }
        let (is, part) = token.with_span().parse_next(&mut input).map_err(|_: EmptyError| stranger(text, start))?;
        found.push(Token { is, part });
    }
}

fn space<'t>(input: &mut Input<'t>) -> Result<&'t str, EmptyError> {
    take_while(0.., char::is_whitespace).parse_next(input)
}

fn token<'t>(input: &mut Input<'t>) -> Result<Is<'t>, EmptyError> {
    let compare = alt((
        ">=".value(Compare::AtLeast),
        "<=".value(Compare::AtMost),
        "==".value(Compare::Equal),
        ">".value(Compare::Above),
        "<".value(Compare::Below),
    ));
    alt((
        take_while(1.., is_bare).map(Is::Word),
        compare.map(Is::Compare),
        "(".value(Is::Open),
        ")".value(Is::Close),
        ",".value(Is::Comma),
        |input: &mut Input<'t>| quoted('"', input),
        |input: &mut Input<'t>| quoted('\'', input),
    ))
    .parse_next(input)
}

/// A name in quotes. A quote that is written twice ends one piece of the name and begins the next.
fn quoted<'t>(quote: char, input: &mut Input<'t>) -> Result<Is<'t>, EmptyError> {
    let piece = delimited(quote, take_till(0.., quote), quote);
    let pieces: Vec<&str> = repeat(1.., piece).parse_next(input)?;
    Ok(Is::Quoted(pieces.join(quote.encode_utf8(&mut [0; 4]))))
}

/// The error about what is no token.
fn stranger(text: &str, at: usize) -> ExpressionError {
    let rest = &text[at..];
    if rest.starts_with(['"', '\'']) {
        return ExpressionError::new(text, at..text.len(), Fault::OpenQuote);
    }
    let first: String = rest.chars().take(1).collect();
    let known = FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign));
    let (found, remedy) = known.map_or((first.as_str(), FOREIGN_REMEDY), |(foreign, remedy)| (*foreign, *remedy));
    // A control character would garble the terminal.
    let shown = if found.chars().any(char::is_control) { found.escape_default().to_string() } else { found.to_owned() };
    ExpressionError::new(text, at..at + found.len(), Fault::Symbol { found: shown, remedy })
}

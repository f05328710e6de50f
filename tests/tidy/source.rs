//! Rust source reduced to words: enough of the grammar to find paths, attributes and macro calls, and no more.

/// A word, a number or one punctuation mark; `::` counts as one. Comments, literals and lifetimes are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    pub line: usize,
    pub text: &'a str,
}

/// A path such as `crate::ids::Id`; `use` groups are written out, one path for each leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    pub line: usize,
    pub segments: Vec<&'a str>,
}

/// All words of a file.
pub fn words(text: &str) -> Vec<Word<'_>> {
    let (mut words, mut at, mut line) = (Vec::new(), 0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let skipped = blank(rest);
        let length = if skipped > 0 {
            skipped
        } else {
            let length = word(rest);
            words.push(Word { line, text: rest[..length].trim_start_matches("r#") });
            length
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    words
}

/// Bytes of white space, a comment, a literal or a lifetime at the start; 0 if a word begins.
fn blank(rest: &str) -> usize {
    let first = rest.chars().next().expect("called before the end only");
    if first.is_whitespace() {
        return first.len_utf8();
    }
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if first == '\'' {
        return quote(rest);
    }
    let prefix = rest.len() - rest.trim_start_matches(['b', 'r', 'c']).len();
    let hashes = rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len();
    match rest.as_bytes().get(prefix + hashes) {
        Some(b'"') if rest[..prefix].contains('r') => raw_string(rest, prefix + hashes + 1, hashes),
        Some(b'"') if hashes == 0 => prefix + escaped(&rest[prefix..], '"'),
        Some(b'\'') if hashes == 0 && prefix == 1 => 1 + quote(&rest[1..]),
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// A character literal or a lifetime.
fn quote(rest: &str) -> usize {
    let mut after = rest.chars().skip(1);
    let first = after.next().unwrap_or('\'');
    if first == '\\' || after.next() == Some('\'') {
        return escaped(rest, '\'');
    }
    1 + rest[1..].find(|c: char| !is_word(c)).unwrap_or(rest.len() - 1)
}

/// A literal between two marks, within which a backslash hides the next character.
fn escaped(rest: &str, mark: char) -> usize {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == mark {
            return at + 1;
        }
    }
    rest.len()
}

fn raw_string(rest: &str, start: usize, hashes: usize) -> usize {
    let end = format!("\"{}", "#".repeat(hashes));
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

/// Bytes of the word at the start.
fn word(rest: &str) -> usize {
    if rest.starts_with("::") {
        return 2;
    }
    let raw = if rest.starts_with("r#") { 2 } else { 0 };
    let length = raw + rest[raw..].find(|c: char| !is_word(c)).unwrap_or(rest.len() - raw);
    if length > raw { length } else { rest.chars().next().map_or(1, char::len_utf8) }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn starts_with(words: &[Word], texts: &[&str]) -> bool {
    words.len() >= texts.len() && words.iter().zip(texts).all(|(word, text)| word.text == *text)
}

/// The words of what is compiled without tests.
pub fn without_tests<'a>(words: &[Word<'a>]) -> Vec<Word<'a>> {
    if starts_with(words, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
        return Vec::new();
    }
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < words.len() {
        if starts_with(&words[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
            at += item(&words[at..]);
        } else {
            kept.push(words[at]);
            at += 1;
        }
    }
    kept
}

/// Words of an item with its attributes: up to a semicolon or the end of a block, outside of all brackets.
fn item(words: &[Word]) -> usize {
    let mut depth = 0;
    for (at, word) in words.iter().enumerate() {
        match word.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (word.text == ";" || word.text == "}") {
            return at + 1;
        }
    }
    words.len()
}

/// Names of the modules that are declared for tests only and stand in files of their own.
pub fn test_modules<'a>(words: &[Word<'a>]) -> Vec<&'a str> {
    let declared = |rest: &[Word<'a>]| {
        let declaration = starts_with(rest, &["#", "[", "cfg", "(", "test", ")", "]", "mod"]) && rest.len() > 9;
        (declaration && rest[9].text == ";").then(|| rest[8].text)
    };
    (0..words.len()).filter_map(|at| declared(&words[at..])).collect()
}

/// Names of the modules that the file declares outside of all blocks, with their lines.
pub fn modules<'a>(words: &[Word<'a>]) -> Vec<Word<'a>> {
    let (mut found, mut depth) = (Vec::new(), 0);
    for (at, word) in words.iter().enumerate() {
        match word.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "mod" if depth == 0 => found.extend(words.get(at + 1)),
            _ => {}
        }
    }
    found
}

/// All paths.
pub fn paths<'a>(words: &[Word<'a>]) -> Vec<Path<'a>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < words.len() {
        at = if words[at].text.starts_with(is_word) { tree(words, at, &[], &mut found) } else { at + 1 };
    }
    found
}

/// Reads one branch of a `use` tree, or a plain path; gives the place after it.
fn tree<'a>(words: &[Word<'a>], start: usize, before: &[&'a str], found: &mut Vec<Path<'a>>) -> usize {
    let text = |at: usize| words.get(at).map_or("", |word: &Word<'a>| word.text);
    let (mut at, mut segments) = (start, before.to_vec());
    loop {
        if text(at) == "{" {
            at += 1;
            while at < words.len() && text(at) != "}" {
                at = if text(at) == "," { at + 1 } else { tree(words, at, &segments, found) };
            }
            return at + 1;
        }
        segments.push(text(at));
        at += 1;
        let goes_on = text(at + 1).starts_with(|c: char| is_word(c) || c == '{' || c == '*');
        if text(at) != "::" || !goes_on {
            break;
        }
        at += 1;
    }
    found.push(Path { line: words[start].line, segments });
    let renamed = !before.is_empty() && text(at) == "as";
    if renamed { at + 2 } else { at }
}

//! JSON in, with every number to the last bit.
//!
//! serde_json rounds twice unless it is built with `float_roundtrip`, which burn, that shares it, does not ask for; a plan that was
//! written and read would be another plan. This reads what RFC 8259 says, names the place of a mistake, and refuses a name
//! that is there twice.

use std::collections::HashSet;

/// Deepest nesting; a plan has 3, and what its provenance holds.
const DEPTH: usize = 32;

/// Why a text is no JSON.
type Flaw = String;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value<'a>>),
    Object(Vec<Entry<'a>>),
}

/// A named value and the text that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) name: String,
    pub(super) value: Value<'a>,
    pub(super) text: &'a str,
}

impl Value<'_> {
    /// In an error: what is there in the place of what was expected.
    pub(super) fn described(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => format!("{value:?}"),
            Value::Text(text) => format!("'{}'", text.chars().take(40).collect::<String>().escape_debug()),
            Value::List(_) => "a list".into(),
            Value::Object(_) => "an object".into(),
        }
    }
}

/// The value that all of `text` is.
pub(super) fn parse(text: &str) -> Result<Value<'_>, Flaw> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.flaw("expected nothing more")),
    }
}

/// `text` as JSON.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn flaw(&self, reason: &str) -> Flaw {
        let before = &self.text.as_bytes()[..self.at.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        format!("line {line}, column {column}: {reason}")
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether the next thing is this byte, which is then behind.
    fn is(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Flaw> {
        if depth > DEPTH {
            return Err(self.flaw(&format!("nested deeper than {DEPTH}")));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value<'a>, Flaw> {
        for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.flaw("expected a JSON value"))
    }

    fn digits(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.flaw("expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value<'a>, Flaw> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Number(value)),
            _ => Err(self.flaw("a number that is not finite in double precision")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, Flaw> {
        self.at += 1;
        let mut items = Vec::new();
        if self.is(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.is(b']') {
                return Ok(Value::List(items));
            }
            if !self.is(b',') {
                return Err(self.flaw("expected ',' or ']'"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Flaw> {
        self.at += 1;
        let (mut entries, mut names): (Vec<Entry>, HashSet<String>) = (Vec::new(), HashSet::new());
        if self.is(b'}') {
            return Ok(Value::Object(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.flaw("expected a name in quotes"));
            }
            let name = self.string()?;
            if !names.insert(name.clone()) {
                return Err(self.flaw(&format!("'{}' is there twice", name.escape_debug())));
            }
            if !self.is(b':') {
                return Err(self.flaw("expected ':'"));
            }
            self.space();
            let start = self.at;
            let value = self.value(depth + 1)?;
            entries.push(Entry { name, value, text: &self.text[start..self.at] });
            if self.is(b'}') {
                return Ok(Value::Object(entries));
            }
            if !self.is(b',') {
                return Err(self.flaw("expected ',' or '}'"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Flaw> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= b' ') {
                self.at += 1;
            }
            // Between ASCII bytes, which are no part of another character.
            string.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escaped()?),
                _ => return Err(self.flaw("a string that does not end")),
            }
        }
    }

    /// The character that a backslash begins.
    fn escaped(&mut self) -> Result<char, Flaw> {
        let byte = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        let plain = match byte {
            Some(b'u') => return self.unicode(),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.flaw("no such escape")),
        };
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, Flaw> {
        let first = self.hexadecimal()?;
        let pair = (0xd800..0xdc00).contains(&first) && self.text.as_bytes()[self.at..].starts_with(b"\\u");
        let code = if pair {
            self.at += 2;
            let second = self.hexadecimal()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.flaw("half a character"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.flaw("half a character"))
    }

    fn hexadecimal(&mut self) -> Result<u32, Flaw> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
        });
        self.at += 4;
        value.ok_or_else(|| self.flaw("expected four hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What serde_json makes of the same text, whose numbers may differ in the last place.
    fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
        use serde_json::Value as Theirs;
        match (ours, theirs) {
            (Value::Null, Theirs::Null) => true,
            (Value::Bool(a), Theirs::Bool(b)) => a == b,
            (Value::Number(a), Theirs::Number(b)) => b.as_f64().is_some_and(|b| (a - b).abs() <= 4e-16 * b.abs()),
            (Value::Text(a), Theirs::String(b)) => a == b,
            (Value::List(a), Theirs::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), Theirs::Object(b)) => {
                a.len() == b.len() && a.iter().all(|entry| b.get(&entry.name).is_some_and(|b| same(&entry.value, b)))
            }
            _ => false,
        }
    }

    #[test]
    fn texts_are_what_serde_json_says_they_are() {
        let golden = include_str!("../../tests/golden/solvers.json");
        assert!(same(&parse(golden).unwrap(), &serde_json::from_str(golden).unwrap()));
        let texts = [
            r#" {"a" : [1, -0.5e+3, 0, 1E-2, true, false, null], "b": {}, "c": [] } "#,
            r#""\u00e9\ud83d\ude00 \"\\\/\b\f\n\r\t é😀""#,
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "--1",
            "[1,]",
            "[1 2]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "\"\n\"",
            "\"\\x\"",
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\ud800\u0041""#,
            r#""\u12g4""#,
            "nul",
            "",
            " ",
            "{",
            "[",
            "\"",
            "\"\\",
            "\"\\u1",
            "1 2",
            "1e999",
            "\u{feff}1",
        ];
        for text in texts {
            match (parse(text), serde_json::from_str::<serde_json::Value>(text)) {
                (Ok(ours), Ok(theirs)) => assert!(same(&ours, &theirs), "{text}: {ours:?} {theirs}"),
                (ours, theirs) => assert!(ours.is_err() && theirs.is_err(), "{text}: {ours:?} {theirs:?}"),
            }
        }
    }

    #[test]
    fn numbers_are_read_to_the_last_bit_and_text_is_written_as_it_is_read() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                assert_eq!(parse(&format!("{number:?}")), Ok(Value::Number(number)));
            }
        }
        let text = "a\"b\\c\n\u{1}é😀";
        assert_eq!(parse(&quoted(text)), Ok(Value::Text(text.into())));
    }

    /// As many as fit in the largest file: looked for one by one they would take half an hour, and this test with them.
    #[test]
    fn a_million_names_are_read() {
        let names: Vec<String> = (0..1_000_000).map(|i| format!("\"{i:x}\":0")).collect();
        let text = format!("{{{}}}", names.join(","));
        let Ok(Value::Object(entries)) = parse(&text) else { panic!("no object") };
        assert_eq!((entries.len(), entries[0xabc].name.as_str()), (1_000_000, "abc"));
        assert!(parse(&format!("{{{},\"0\":1}}", names.join(","))).unwrap_err().contains("'0' is there twice"));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let flaw = |text: &str| parse(text).unwrap_err();
        assert_eq!(flaw("{\n  \"a\": 1,\n  \"a\": 2}"), "line 3, column 6: 'a' is there twice");
        assert_eq!(flaw("[1, x]"), "line 1, column 5: expected a JSON value");
        assert_eq!(flaw("[1e400]"), "line 1, column 7: a number that is not finite in double precision");
        assert!(flaw(&"[".repeat(100_000)).contains("nested deeper than 32"));
    }
}

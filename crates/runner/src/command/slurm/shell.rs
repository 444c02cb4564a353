//! Text that a shell reads as itself.

use std::path::Path;

use crate::failure::{Failure, Result};

/// One word of a shell's command line: bare where every character stands for itself, else in single quotes, within which all do.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The text of a path; `what` it is, for messages.
///
/// # Errors
/// Where a script cannot hold it: a path with a line break would go on outside its line.
pub fn text(path: &Path, what: &str) -> Result<String> {
    match path.to_str() {
        Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(Failure::Request(format!(
            "{what} {path:?}: not to be put into a script; expected a path in UTF-8 without line breaks or other control characters"
        ))),
    }
}

/// The same, for a command that would take a path with a hyphen in front for an option.
pub fn argument(path: &Path, what: &str) -> Result<String> {
    let text = text(path, what)?;
    Ok(if text.starts_with('-') { format!("./{text}") } else { text })
}

/// `template` with every `@NAME@` replaced by its value, in one pass: what a value holds is not looked at again.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    // Names are behind every other @.
    for (i, part) in template.split('@').enumerate() {
        let value = values.iter().find(|(name, _)| i % 2 == 1 && *name == part);
        filled.push_str(value.map_or(part, |(_, value)| value));
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_more() {
        for text in ["out/a-1.b", "docker://x/y:1", "a=b", "50%"] {
            assert_eq!(word(text), text);
        }
        let cases = [
            ("", "''"),
            ("a b", "'a b'"),
            ("$(id)", "'$(id)'"),
            ("it's", r"'it'\''s'"),
            ("~/x", "'~/x'"),
            ("ü", "'ü'"),
        ];
        for (text, expected) in cases {
            assert_eq!(word(text), expected);
        }
    }

    #[test]
    fn values_are_not_filled_in_again() {
        assert_eq!(fill("a @X@ b @Y@\n", &[("X", "@Y@"), ("Y", "2")]), "a @Y@ b 2\n");
    }

    #[test]
    fn paths_that_no_script_can_hold_are_refused() {
        assert_eq!(argument(Path::new("-x/a"), "experiment").unwrap(), "./-x/a");
        for path in ["a\nb", "a\tb", "\u{7f}", ""] {
            let message = text(Path::new(path), "--out").unwrap_err().to_string();
            assert!(message.starts_with("--out ") && message.lines().count() == 1, "{message}");
        }
    }
}

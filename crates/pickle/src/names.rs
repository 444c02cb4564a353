//! What names a reader would give to the tensors of a pickle.
//!
//! A reader that calls a tensor by its path makes a text as long as all keys before it, for every place that the tensor is at: a key of a
//! hundred kilobytes before a hundred thousand references to one tensor is a file of three hundred kilobytes and ten gigabytes of names.

use crate::{Id, Node, Pickle};

/// Values, each as often as it is referred to.
const VALUES: usize = 1 << 22;
/// Bytes of all names.
const NAMES: usize = 64 << 20;
/// Values in values.
const DEPTH: usize = 1000;
/// Digits of a place in a list, and the dot before a part.
const PLACE: usize = 8;

/// Refuses a pickle whose tensors would have longer names together than this reads, or that holds more values than that, one that
/// is referred to many times counted as often.
pub(crate) fn check(pickle: &Pickle) -> Result<(), String> {
    let open = vec![false; pickle.nodes.len()];
    Walk { pickle, open, values: 0, names: 0 }.value(pickle.root(), 0, 0)
}

struct Walk<'a> {
    pickle: &'a Pickle<'a>,
    /// What is being walked: what holds itself is walked once.
    open: Vec<bool>,
    values: usize,
    names: usize,
}

impl Walk<'_> {
    /// A value behind keys of `length` bytes.
    fn value(&mut self, id: Id, length: usize, depth: usize) -> Result<(), String> {
        self.values += 1;
        if self.values > VALUES {
            return Err(format!("more than {VALUES} values, each counted as often as it is referred to"));
        }
        if depth > DEPTH {
            return Err(format!("values in values more than {DEPTH} deep"));
        }
        if std::mem::replace(&mut self.open[id], true) {
            return Ok(());
        }
        let pickle = self.pickle;
        match pickle.node(id) {
            Node::Dict(pairs) => self.pairs(pairs, length, depth)?,
            Node::Tuple(items) | Node::List(items) | Node::Set(items) => self.items(items, length, depth)?,
            Node::Call(call) => {
                // What is called may give a tensor.
                self.names += length;
                if self.names > NAMES {
                    return Err(format!("tensors with more than {NAMES} bytes of names"));
                }
                self.value(call.arguments, length, depth + 1)?;
                self.items(&call.states, length, depth)?;
                self.items(&call.items, length, depth)?;
                self.pairs(&call.pairs, length, depth)?;
            }
            _ => {}
        }
        self.open[id] = false;
        Ok(())
    }

    fn pairs(&mut self, pairs: &[[Id; 2]], length: usize, depth: usize) -> Result<(), String> {
        pairs.iter().try_for_each(|[key, value]| self.value(*value, length + self.text(*key) + PLACE, depth + 1))
    }

    /// Of a list; or of a pair of a key and a value, as ordered dictionaries are made of.
    fn items(&mut self, items: &[Id], length: usize, depth: usize) -> Result<(), String> {
        let key = if let [key, _] = items { self.text(*key) } else { 0 };
        items.iter().try_for_each(|&item| self.value(item, length + key + PLACE, depth + 1))
    }

    fn text(&self, id: Id) -> usize {
        self.pickle.text(id).map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n)R";

    fn checked(bytes: &[u8]) -> Result<(), String> {
        check(&Pickle::read(bytes, 0).unwrap())
    }

    /// Three hundred kilobytes that a reader would make ten gigabytes of.
    #[test]
    fn long_names_of_many_places_are_refused() {
        let key = [b"X", &100_000u32.to_le_bytes()[..], &[b'k'; 100_000]].concat();
        let places =
            |count: usize| [b"\x80\x02}", &key[..], b"](", TENSOR, b"q\x00", &b"h\x00".repeat(count), b"es."].concat();
        assert_eq!(checked(&places(100)), Ok(()));
        assert_eq!(checked(&places(100_000)), Err(format!("tensors with more than {NAMES} bytes of names")));
        let pairs = [b"\x80\x02ccollections\nOrderedDict\n](", &key[..], TENSOR, b"\x86q\x00", &b"h\x00".repeat(1000)];
        let pairs = [&pairs.concat()[..], b"e\x85R."].concat();
        assert_eq!(checked(&pairs), Err(format!("tensors with more than {NAMES} bytes of names")));
    }

    /// Lists of two of the list before: thirty of them are a thousand million values.
    #[test]
    fn values_of_values_are_counted_and_cycles_are_not() {
        let doubled = |times: usize| [b"\x80\x02]q\x00", &b"h\x00h\x00\x86q\x00".repeat(times)[..], b"."].concat();
        assert_eq!(checked(&doubled(10)), Ok(()));
        assert!(checked(&doubled(30)).unwrap_err().starts_with("more than 4194304 values"));
        assert_eq!(checked(b"\x80\x02]q\x00h\x00a."), Ok(()));
        let deep = [b"\x80\x02]", &[0x85; 1500][..], b"."].concat();
        assert!(checked(&deep).unwrap_err().contains("1000 deep"));
    }
}

//! What a pickle says.

use std::{borrow::Cow, ops::Range};

use serde_json::Value;

/// The number of a node.
pub type Id = usize;

/// A value, or what would have been done to make it.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// None.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number of at most 64 bits.
    Int(i64),
    /// A whole number of more than 64 bits: little-endian, two's complement.
    Long(&'a [u8]),
    /// A number in double precision.
    Float(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// Bytes, by where they are in the file.
    Bytes(Range<usize>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A set or frozen set.
    Set(Vec<Id>),
    /// Keys and values; of a key that is there twice, the last counts.
    Dict(Vec<[Id; 2]>),
    /// Something of a module.
    Global {
        /// The module.
        module: &'a str,
        /// What it is called there.
        name: &'a str,
    },
    /// A function or class that was called.
    Call(Box<Call>),
    /// Something kept elsewhere, by what says where.
    Persistent(Id),
}

/// What was called with what, and what was done to its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What was called.
    pub callee: Id,
    /// A tuple.
    pub arguments: Id,
    /// States that it was given.
    pub states: Vec<Id>,
    /// What was appended or added to it.
    pub items: Vec<Id>,
    /// What was put into it by key.
    pub pairs: Vec<[Id; 2]>,
}

/// A pickle that was read.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) root: Id,
    /// Where what follows it begins, in bytes.
    pub(crate) end: usize,
}

/// Values of a configuration; what has more is none.
const MAX_VALUES: usize = 1 << 12;
/// Bytes of all text in a configuration, each time that it is referred to: values are copied, unlike nodes.
const MAX_TEXT: usize = 1 << 12;
/// Keys of a dictionary that are looked through for one of them; an object's has some tens.
const MAX_KEYS: usize = 1 << 10;
/// Nesting of a configuration.
const MAX_NESTING: usize = 16;

impl Pickle<'_> {
    /// What the whole pickle is.
    pub fn root(&self) -> Id {
        self.root
    }

    /// Where what follows it begins.
    pub fn end(&self) -> usize {
        self.end
    }

    /// A node.
    pub fn node(&self, id: Id) -> &Node<'_> {
        &self.nodes[id]
    }

    /// A string.
    pub fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id] {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn int(&self, id: Id) -> Option<i64> {
        match self.nodes[id] {
            Node::Int(value) => Some(value),
            _ => None,
        }
    }

    /// A number, whole or not.
    pub fn real(&self, id: Id) -> Option<f64> {
        match self.nodes[id] {
            Node::Int(value) => Some(value as f64),
            Node::Float(value) => Some(value),
            _ => None,
        }
    }

    /// Of a list or tuple.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match &self.nodes[id] {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// Keys and values of a dictionary, or of an object that is one.
    pub fn pairs(&self, id: Id) -> Option<&[[Id; 2]]> {
        match &self.nodes[id] {
            Node::Dict(pairs) => Some(pairs),
            Node::Call(call) => Some(&call.pairs),
            _ => None,
        }
    }

    /// The value of a key that is text; the last one, as in Python. `None` as well where there are more keys than any object has.
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        let pairs = self.pairs(id).filter(|pairs| pairs.len() <= MAX_KEYS)?;
        pairs.iter().rev().find(|[name, _]| self.text(*name) == Some(key)).map(|[_, value]| *value)
    }

    /// What was called, and with what.
    pub fn call(&self, id: Id) -> Option<&Call> {
        match &self.nodes[id] {
            Node::Call(call) => Some(call),
            _ => None,
        }
    }

    /// Module and name of something global.
    pub fn global(&self, id: Id) -> Option<[&str; 2]> {
        match &self.nodes[id] {
            Node::Global { module, name } => Some([module, name]),
            _ => None,
        }
    }

    /// The arguments that a global function was called with.
    pub fn called(&self, id: Id, function: [&str; 2]) -> Option<&[Id]> {
        let call = self.call(id)?;
        (self.global(call.callee)? == function).then(|| self.items(call.arguments))?
    }

    /// Plain data as JSON; what is none of it becomes null. `None` where it is too much or too deep for a configuration.
    pub fn json(&self, id: Id) -> Option<Value> {
        self.value(id, MAX_NESTING, &mut Left { values: MAX_VALUES, text: MAX_TEXT })
    }

    fn value(&self, id: Id, depth: usize, left: &mut Left) -> Option<Value> {
        left.values = left.values.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        Some(match &self.nodes[id] {
            Node::Bool(value) => (*value).into(),
            Node::Int(value) => (*value).into(),
            Node::Float(value) => (*value).into(),
            Node::Text(text) => left.copy(text)?.into(),
            Node::Tuple(items) | Node::List(items) => {
                Value::Array(items.iter().map(|&item| self.value(item, depth, left)).collect::<Option<_>>()?)
            }
            Node::Dict(_) | Node::Call(_) => {
                let mut object = serde_json::Map::new();
                for [key, value] in self.pairs(id)? {
                    match self.text(*key) {
                        Some(key) => drop(object.insert(left.copy(key)?, self.value(*value, depth, left)?)),
                        None => left.values = left.values.checked_sub(1)?,
                    }
                }
                Value::Object(object)
            }
            _ => Value::Null,
        })
    }
}

/// What a configuration may still take.
struct Left {
    values: usize,
    /// In bytes.
    text: usize,
}

impl Left {
    fn copy(&mut self, text: &str) -> Option<String> {
        self.text = self.text.checked_sub(text.len())?;
        Some(text.to_owned())
    }
}

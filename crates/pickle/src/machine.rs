//! The machine: operations in, nodes out.

mod bytes;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashMap};

use crate::{
    DEPTH, Fault, NAME, OPERATIONS,
    node::{Call, Id, Node, Pickle},
};

impl<'a> Pickle<'a> {
    /// Reads the pickle that begins at byte `start` of `bytes`.
    ///
    /// # Errors
    /// Where it ends too early, asks for something that no pickle without extensions does, or is larger than what this machine reads.
    pub fn read(bytes: &'a [u8], start: usize) -> Result<Pickle<'a>, Fault> {
        Self::read_within(bytes, start, OPERATIONS)
    }

    /// The same, of at most `operations` operations.
    ///
    /// # Errors
    /// As there.
    pub fn read_within(bytes: &'a [u8], start: usize, operations: usize) -> Result<Pickle<'a>, Fault> {
        let (stack, marks) = (Vec::new(), Vec::new());
        Machine { bytes, at: start, operation: start, nodes: Vec::new(), stack, marks, memo: HashMap::new() }
            .run(operations)
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the operation at hand began.
    operation: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at which containers begin.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

type Result<T, E = Fault> = std::result::Result<T, E>;

impl<'a> Machine<'a> {
    fn run(mut self, operations: usize) -> Result<Pickle<'a>> {
        for _ in 0..operations {
            self.operation = self.at;
            let code = self.byte()?;
            if code == b'.' {
                let root = self.pop()?;
                return Ok(Pickle { nodes: self.nodes, root, end: self.at });
            }
            self.step(code)?;
        }
        Err(self.fault(format!("more than {operations} operations in this pickle")))
    }

    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.operation, reason)
    }

    /// One operation, by the names of `pickletools`.
    fn step(&mut self, code: u8) -> Result<()> {
        match code {
            0x80 => self.protocol(),
            0x95 => self.take_u64().map(|_| ()), // FRAME: a hint for reading ahead
            b'(' if self.marks.len() == DEPTH => Err(self.fault(format!("more than {DEPTH} open containers"))),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.marked().map(|_| ()),
            b'2' => self.top().map(|top| self.stack.push(top)),
            b'N' => self.push(Node::None),
            0x88 | 0x89 => self.push(Node::Bool(code == 0x88)),
            b'K' => self.byte().and_then(|value| self.push(Node::Int(value.into()))),
            b'M' => self.array().and_then(|bytes| self.push(Node::Int(u16::from_le_bytes(bytes).into()))),
            b'J' => self.array().and_then(|bytes| self.push(Node::Int(i32::from_le_bytes(bytes).into()))),
            b'G' => self.array().and_then(|bytes| self.push(Node::Float(f64::from_be_bytes(bytes)))),
            b'I' | b'L' | b'F' => self.number(code),
            0x8a | 0x8b => self.long(code),
            b'U' | b'T' | b'C' | b'B' | 0x8e | 0x96 => self.raw(code),
            0x8c | b'X' | 0x8d | b'V' | b'S' => self.unicode(code),
            b']' => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            0x8f => self.push(Node::Set(Vec::new())),
            b'l' => self.marked().and_then(|items| self.push(Node::List(items))),
            b't' => self.marked().and_then(|items| self.push(Node::Tuple(items))),
            0x91 => self.marked().and_then(|items| self.push(Node::Set(items))),
            b'd' => self.marked_pairs().and_then(|pairs| self.push(Node::Dict(pairs))),
            0x85..=0x87 => self.tuple(usize::from(code - 0x84)),
            b'a' => self.pop().and_then(|item| self.append(vec![item])),
            b'e' | 0x90 => self.marked().and_then(|items| self.append(items)),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.put(vec![[key, value]])
            }
            b'u' => self.marked_pairs().and_then(|pairs| self.put(pairs)),
            b'g' | b'h' | b'j' | b'p' | b'q' | b'r' | 0x94 => self.remember(code),
            b'c' => {
                let (module, name) = (self.name()?, self.name()?);
                self.push(Node::Global { module, name })
            }
            0x93 => self.stack_global(),
            b'R' | 0x81 | 0x92 | b'o' | b'i' => self.call(code),
            b'b' => self.build(),
            b'P' => {
                let text = self.line()?.into();
                self.push(Node::Text(text))?;
                self.persistent()
            }
            b'Q' => self.persistent(),
            _ => Err(self.fault(format!("operation 0x{code:02x}, which pickles of data do not have"))),
        }
    }

    fn protocol(&mut self) -> Result<()> {
        match self.byte()? {
            0..=5 => Ok(()),
            other => Err(self.fault(format!("protocol {other}; expected at most 5"))),
        }
    }

    /// A number as text; `01` and `00` are true and false.
    fn number(&mut self, code: u8) -> Result<()> {
        let text = self.line()?;
        let node = match (code, text) {
            (b'I', "01") => Some(Node::Bool(true)),
            (b'I', "00") => Some(Node::Bool(false)),
            (b'F', text) => text.parse().ok().map(Node::Float),
            // Of more than 64 bits it is kept as it is written.
            (_, text) => match text.trim_end_matches('L') {
                digits if digits.bytes().all(|digit| digit.is_ascii_digit() || digit == b'-') => {
                    Some(digits.parse().map_or_else(|_| Node::Text(digits.into()), Node::Int))
                }
                _ => None,
            },
        };
        match node {
            Some(node) => self.push(node),
            None => {
                let start: String = text.chars().take(40).collect();
                Err(self.fault(format!("'{}' is no number", start.escape_debug())))
            }
        }
    }

    fn long(&mut self, code: u8) -> Result<()> {
        let length = if code == 0x8a { usize::from(self.byte()?) } else { u32::from_le_bytes(self.array()?) as usize };
        let bytes = self.take(length)?;
        if length > 8 {
            return self.push(Node::Long(bytes));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..length].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(wide)))
    }

    /// Bytes; strings of Python 2 among them, which are text only where they look like it.
    fn raw(&mut self, code: u8) -> Result<()> {
        let length = match code {
            b'U' | b'C' => self.byte()?.into(),
            b'T' | b'B' => u32::from_le_bytes(self.array()?) as usize,
            _ => self.length_u64()?,
        };
        let taken = self.take(length)?;
        match std::str::from_utf8(taken) {
            Ok(text) if matches!(code, b'U' | b'T') => self.push(Node::Text(text.into())),
            _ => self.push(Node::Bytes(self.at - length..self.at)),
        }
    }

    fn unicode(&mut self, code: u8) -> Result<()> {
        let bytes = match code {
            0x8c => {
                let length = self.byte()?.into();
                self.take(length)?
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                self.take(length)?
            }
            0x8d => {
                let length = self.length_u64()?;
                self.take(length)?
            }
            // As text of their own, quotes and escapes left in.
            _ => self.line()?.as_bytes(),
        };
        // Python's strings may hold halves of pairs, which UTF-8 may not; they name nothing here.
        self.push(Node::Text(String::from_utf8_lossy(bytes)))
    }

    fn tuple(&mut self, count: usize) -> Result<()> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::Tuple(items))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let to = self.top()?;
        match &mut self.nodes[to] {
            Node::List(list) | Node::Set(list) => list.extend(items),
            Node::Call(call) => call.items.extend(items),
            _ => return Err(self.fault("items for what is no list")),
        }
        Ok(())
    }

    fn put(&mut self, pairs: Vec<[Id; 2]>) -> Result<()> {
        let to = self.top()?;
        match &mut self.nodes[to] {
            Node::Dict(dict) => dict.extend(pairs),
            Node::Call(call) => call.pairs.extend(pairs),
            _ => return Err(self.fault("keys for what is no dictionary")),
        }
        Ok(())
    }

    /// Into the memo, or out of it.
    fn remember(&mut self, code: u8) -> Result<()> {
        let key = match code {
            b'g' | b'p' => {
                let line = self.line()?;
                line.parse().map_err(|_| self.fault("a place in the memo that is no number"))?
            }
            b'h' | b'q' => self.byte()?.into(),
            b'j' | b'r' => u32::from_le_bytes(self.array()?).into(),
            _ => self.memo.len() as u64,
        };
        if matches!(code, b'g' | b'h' | b'j') {
            let Some(&known) = self.memo.get(&key) else {
                return Err(self.fault(format!("nothing in the memo at {key}")));
            };
            self.stack.push(known);
        } else {
            let top = self.top()?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn stack_global(&mut self) -> Result<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        // Only text that lies in the file as it is: a copy for each time that it is named would have no bound.
        let text = |id: Id| match self.nodes[id] {
            Node::Text(Cow::Borrowed(text)) => self.short(text),
            _ => Err(self.fault("a name that is no text")),
        };
        let (module, name) = (text(module)?, text(name)?);
        self.push(Node::Global { module, name })
    }

    /// What would be called is kept with its arguments.
    fn call(&mut self, code: u8) -> Result<()> {
        let (callee, arguments) = match code {
            b'o' | b'i' => {
                let global = if code == b'i' {
                    let (module, name) = (self.name()?, self.name()?);
                    Some(Node::Global { module, name })
                } else {
                    None
                };
                let mut items = self.marked()?;
                let callee = match global {
                    Some(global) => self.make(global),
                    None if items.is_empty() => return Err(self.fault("an object of no class")),
                    None => items.remove(0),
                };
                (callee, self.make(Node::Tuple(items)))
            }
            0x92 => {
                // Keyword arguments lie behind the others.
                let (keywords, arguments, callee) = (self.pop()?, self.pop()?, self.pop()?);
                (callee, self.make(Node::Tuple(vec![arguments, keywords])))
            }
            _ => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                (callee, arguments)
            }
        };
        let (states, items, pairs) = (Vec::new(), Vec::new(), Vec::new());
        self.push(Node::Call(Box::new(Call { callee, arguments, states, items, pairs })))
    }

    fn build(&mut self) -> Result<()> {
        let (state, to) = (self.pop()?, self.top()?);
        match &mut self.nodes[to] {
            Node::Call(call) => call.states.push(state),
            _ => return Err(self.fault("a state for what is no object")),
        }
        Ok(())
    }

    fn persistent(&mut self) -> Result<()> {
        let name = self.pop()?;
        self.push(Node::Persistent(name))
    }

    fn make(&mut self, node: Node<'a>) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.make(node);
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.fault("an operation on what is not there"));
        }
        self.stack.pop().ok_or_else(|| self.fault("an operation on what is not there"))
    }

    fn top(&mut self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| self.fault("an operation on what is not there"))
    }

    /// All above the last mark.
    fn marked(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.fault("the end of what was not begun"))?;
        Ok(self.stack.split_off(mark))
    }

    fn marked_pairs(&mut self) -> Result<Vec<[Id; 2]>> {
        let items = self.marked()?;
        match items.as_chunks() {
            (pairs, []) => Ok(pairs.to_vec()),
            _ => Err(self.fault("a key without a value")),
        }
    }
}

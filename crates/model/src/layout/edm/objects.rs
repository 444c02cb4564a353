//! Python objects of PyTorch modules: their classes, their states, their tensors.

use crate::pickle::{Id, NAME, Node, Pickle, PickledTensor, Tensors};

/// An object's class and its `__dict__`.
pub(super) struct Object<'a> {
    pub class: &'a str,
    pub state: Id,
}

/// Version of the containers that keep an object's source beside it.
const VERSION: i64 = 6;
/// Modules in modules.
const DEPTH: usize = 16;
/// Tensors of a network.
const TENSORS: usize = 1 << 14;
/// Parameters and modules, none among them, of all modules together.
const PARTS: usize = 1 << 16;

type Result<T, E = String> = std::result::Result<T, E>;

/// The object at a node: kept with its source (`torch_utils.persistence`), or as Python keeps any. `None` where it is no object.
pub(super) fn object<'a>(pickle: &'a Pickle, id: Id) -> Result<Option<Object<'a>>> {
    if let Some([meta]) = pickle.called(id, ["torch_utils.persistence", "_reconstruct_persistent_obj"]) {
        let version = pickle.get(*meta, "version").and_then(|id| pickle.int(id));
        if version != Some(VERSION) {
            let found = version.map_or("none".into(), |version| version.to_string());
            return Err(format!("a persistent object of version {found}; expected {VERSION}"));
        }
        let class = pickle.get(*meta, "class_name").and_then(|id| pickle.text(id));
        let (Some(class), Some(state)) = (class, pickle.get(*meta, "state")) else {
            return Err("a persistent object without class_name and state".into());
        };
        if class.len() > NAME {
            return Err(format!("a class_name of {} bytes; expected at most {NAME}", class.len()));
        }
        return Ok(Some(Object { class, state }));
    }
    // copyreg._reconstructor(class, object, None) or class.__new__(class), and then its state.
    let Some(call) = pickle.call(id) else { return Ok(None) };
    let class = match pickle.global(call.callee) {
        Some(["copyreg" | "copy_reg", _]) => {
            pickle.items(call.arguments).and_then(|items| pickle.global(*items.first()?))
        }
        other => other,
    };
    let (Some([_, class]), Some(&state)) = (class, call.states.last()) else { return Ok(None) };
    Ok(Some(Object { class, state }))
}

/// The module `name` of a module with this state.
pub(super) fn module_of(pickle: &Pickle, state: Id, name: &str) -> Option<Id> {
    pickle.get(pickle.get(state, "_modules")?, name)
}

/// All parameters of a module and the modules in it, by their names in PyTorch; buffers are none.
pub(super) fn tensors(bytes: &[u8], pickle: &Pickle, module: Id) -> Result<Vec<(String, PickledTensor)>> {
    let mut walk = Walk { pickle, tensors: Tensors::new(bytes, pickle), found: Vec::new(), modules: 0, parts: 0 };
    walk.module(module, "", DEPTH)?;
    // Storages may be shared: a small file must not become a large network.
    let numbers: usize = walk.found.iter().map(|(_, tensor)| tensor.count()).sum();
    if numbers > bytes.len() {
        return Err(format!("{numbers} numbers in a file of {} bytes", bytes.len()));
    }
    Ok(walk.found)
}

struct Walk<'a> {
    pickle: &'a Pickle<'a>,
    tensors: Tensors<'a>,
    found: Vec<(String, PickledTensor)>,
    modules: usize,
    parts: usize,
}

impl<'a> Walk<'a> {
    fn module(&mut self, id: Id, name: &str, depth: usize) -> Result<()> {
        let pickle = self.pickle;
        let Some(object) = object(pickle, id)? else {
            return Err(format!("{name} is no module"));
        };
        self.modules += 1;
        if depth == 0 || self.modules > TENSORS {
            return Err("too many modules in modules".into());
        }
        for (part, id) in self.parts(object.state, "_parameters")? {
            if self.found.len() == TENSORS {
                return Err(format!("more than {TENSORS} tensors"));
            }
            let name = full(name, part)?;
            let tensor = self.tensors.tensor(id).map_err(|reason| format!("tensor {name} {reason}"))?;
            self.found.push((name, tensor));
        }
        for (part, id) in self.parts(object.state, "_modules")? {
            self.module(id, &full(name, part)?, depth - 1)?;
        }
        Ok(())
    }

    /// Named parts that are not None; modules may share them, so that each time counts.
    fn parts(&mut self, state: Id, kind: &str) -> Result<impl Iterator<Item = (&'a str, Id)> + use<'a>> {
        let pickle = self.pickle;
        let pairs = pickle_pairs(pickle, state, kind);
        self.parts += pairs.len();
        if self.parts > PARTS {
            return Err(format!("more than {PARTS} parameters and modules"));
        }
        let named = pairs.iter().filter_map(|[name, id]| Some((pickle.text(*name)?, *id)));
        Ok(named.filter(|(_, id)| *pickle.node(*id) != Node::None))
    }
}

/// The name of a part of the module `module`, at most [`NAME`] bytes.
fn full(module: &str, part: &str) -> Result<String> {
    let bytes = module.len() + 1 + part.len();
    match module {
        _ if bytes > NAME => {
            Err(format!("the name of a parameter or module has {bytes} bytes; expected at most {NAME}"))
        }
        "" => Ok(part.to_owned()),
        module => Ok(format!("{module}.{part}")),
    }
}

fn pickle_pairs<'a>(pickle: &'a Pickle, state: Id, kind: &str) -> &'a [[Id; 2]] {
    pickle.get(state, kind).and_then(|id| pickle.pairs(id)).unwrap_or_default()
}

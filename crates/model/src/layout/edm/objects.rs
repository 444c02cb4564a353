//! Python objects of PyTorch modules: their classes, their states, their tensors.

use crate::pickle::{Id, Node, Pickle, PickledTensor, Tensors};

/// An object's class and its `__dict__`.
pub(super) struct Object {
    pub class: String,
    pub state: Id,
}

/// Version of the containers that keep an object's source beside it.
const VERSION: i64 = 6;
/// Modules in modules.
const DEPTH: usize = 16;
/// Tensors of a network.
const TENSORS: usize = 1 << 14;

type Result<T, E = String> = std::result::Result<T, E>;

/// The object at a node: kept with its source (`torch_utils.persistence`), or as Python keeps any. `None` where it is no object.
pub(super) fn object(pickle: &Pickle, id: Id) -> Result<Option<Object>> {
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
        return Ok(Some(Object { class: class.to_owned(), state }));
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
    Ok(Some(Object { class: class.to_owned(), state }))
}

/// The module `name` of a module with this state.
pub(super) fn module_of(pickle: &Pickle, state: Id, name: &str) -> Option<Id> {
    pickle.get(pickle.get(state, "_modules")?, name)
}

/// All parameters of a module and the modules in it, by their names in PyTorch; buffers are none.
pub(super) fn tensors(bytes: &[u8], pickle: &Pickle, module: Id) -> Result<Vec<(String, PickledTensor)>> {
    let mut walk = Walk { pickle, tensors: Tensors::new(bytes, pickle), found: Vec::new(), modules: 0 };
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
}

impl Walk<'_> {
    fn module(&mut self, id: Id, name: &str, depth: usize) -> Result<()> {
        let pickle = self.pickle;
        let Some(object) = object(pickle, id)? else {
            return Err(format!("{name} is no module"));
        };
        self.modules += 1;
        if depth == 0 || self.modules + self.found.len() > TENSORS {
            return Err("too many modules in modules".into());
        }
        let full = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
        for (part, id) in self.parts(object.state, "_parameters") {
            let tensor = self.tensors.tensor(id).map_err(|reason| format!("tensor {} {reason}", full(&part)))?;
            self.found.push((full(&part), tensor));
        }
        for (part, id) in self.parts(object.state, "_modules") {
            self.module(id, &full(&part), depth - 1)?;
        }
        Ok(())
    }

    /// Named parts that are not None.
    fn parts(&self, state: Id, kind: &str) -> Vec<(String, Id)> {
        let pairs = pickle_pairs(self.pickle, state, kind);
        let named = pairs.iter().filter_map(|[name, id]| Some((self.pickle.text(*name)?.to_owned(), *id)));
        named.filter(|(_, id)| *self.pickle.node(*id) != Node::None).collect()
    }
}

fn pickle_pairs<'a>(pickle: &'a Pickle, state: Id, kind: &str) -> &'a [[Id; 2]] {
    pickle.get(state, kind).and_then(|id| pickle.pairs(id)).unwrap_or_default()
}

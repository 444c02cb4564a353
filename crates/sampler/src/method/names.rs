//! What methods are called, and what may be asked for by a name.

use std::ops::RangeInclusive;

use super::{Method, Solver, traits::recommended};
use crate::{Error, Result};

/// The ending of normalised methods' names.
const SUFFIX: &str = "-sn";
/// The beginning of stochastic DDIM's names; η follows.
const ETA: &str = "ddim-eta-";
/// The beginning of DC-Solver's names; the ratio follows.
pub(super) const DC: &str = "dc-solver-";
/// The ending of the names of methods whose orders are lowered wherever the grid ends, before [`SUFFIX`].
pub(super) const LOF: &str = "-lof";
/// What their labels end with.
pub(super) const LOF_LABEL: &str = " with lower order at the end";
/// The ending of corrected methods' names, before [`SUFFIX`].
pub(super) const UNIC: &str = "-unic";

/// A name that [`Method::new`] knows, and what may be asked for with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodName {
    /// The name; `ddim-eta-ETA` stands for all of its η, `dc-solver-RATIO` for all of its ratios.
    pub name: String,
    /// The orders it comes in; `None` where it takes none.
    pub orders: Option<RangeInclusive<usize>>,
    /// The order taken where none is given ([`Method::recommended_order`]); `None` where it takes none.
    pub recommended: Option<usize>,
    /// Whether it has a normalised form, whose name has `-sn` behind it.
    pub normalises: bool,
}

impl MethodName {
    /// `forms`: the solvers of one name, by ascending order.
    fn of(forms: &[Solver]) -> Self {
        let (first, last) = (forms[0].traits(), forms[forms.len() - 1].traits());
        let name = match first.name {
            name if name.starts_with(ETA) => format!("{ETA}ETA"),
            name if name.starts_with(DC) => format!("{DC}RATIO"),
            name => name,
        };
        MethodName {
            orders: (forms.len() > 1).then_some(first.order..=last.order),
            recommended: recommended(&name),
            normalises: first.refuses_normaliser.is_none(),
            name,
        }
    }
}

impl Method {
    /// Every name with what may be asked for, each once.
    pub fn names() -> Vec<MethodName> {
        Solver::all().chunk_by(|a, b| a.traits().name == b.traits().name).map(MethodName::of).collect()
    }

    /// The order that [`Method::new`] takes for `name` where none is given: what its authors recommend for unconditional
    /// sampling. `None` where there is no such method or it takes no order.
    pub fn recommended_order(name: &str) -> Option<usize> {
        recommended(name.strip_suffix(SUFFIX).unwrap_or(name))
    }

    /// The method called `name`; `-sn` at its end asks for score normalisation. `order` is for those that come in
    /// several; where it is not given it is the [recommended one](Method::recommended_order).
    ///
    /// # Errors
    /// Where there is no such method, it takes no order, the order is out of range, or score normalisation has no
    /// meaning for it.
    pub fn new(name: &str, order: Option<usize>) -> Result<Self> {
        let (plain, normalise) = name.strip_suffix(SUFFIX).map_or((name, false), |plain| (plain, true));
        let method = Method { solver: solver(plain, order)?, normalise };
        method.refusal().map_or(Ok(method), refuse)
    }

    /// Why score normalisation has no meaning here, where it is asked for.
    pub(super) fn refusal(self) -> Option<String> {
        let traits = self.solver.traits();
        let reason = traits.refuses_normaliser.filter(|_| self.normalise)?;
        Some(format!("score normalisation has no meaning for {}: {reason}", traits.label))
    }

    /// The name in experiment files.
    pub fn name(self) -> String {
        self.solver.traits().name + if self.normalise { SUFFIX } else { "" }
    }

    /// The name in charts and tables.
    pub fn label(self) -> String {
        let label = self.solver.traits().label;
        if let Some(alone) = label.strip_suffix(LOF_LABEL).filter(|_| self.normalise) {
            return format!("{alone}-SN{LOF_LABEL}");
        }
        match (self.normalise, label.rsplit_once('-')) {
            (false, _) => label,
            // The paper writes DEIS-SN; the order goes behind.
            (true, Some((name, order))) if order.len() == 1 => format!("{name}-SN-{order}"),
            (true, _) => format!("{label}-SN"),
        }
    }

    /// The order in the method's name; 0 where there is none.
    pub fn order(self) -> usize {
        self.solver.traits().order
    }
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::Request(reason))
}

/// The solver called `name`, of this order where it comes in several.
fn solver(name: &str, order: Option<usize>) -> Result<Solver> {
    let forms = forms(name)?;
    let of = |solver: &Solver| solver.traits().order;
    match (forms.as_slice(), order) {
        ([only], None) => Ok(*only),
        // Tables of results give every method's order, also where it has no other.
        ([only], Some(order)) if order == of(only) && order > 0 => Ok(*only),
        ([_], Some(order)) => refuse(format!("method '{name}' takes no order, got {order}")),
        (several, order) => {
            let (low, high) = (of(&several[0]), of(&several[several.len() - 1]));
            let wanted = order.or(recommended(name)).unwrap_or(high);
            let found = several.iter().find(|solver| of(solver) == wanted);
            found.copied().map_or_else(|| refuse(format!("order is {wanted}; expected {low} to {high}")), Ok)
        }
    }
}

/// All that are called `name`, by ascending order; at least one.
fn forms(name: &str) -> Result<Vec<Solver>> {
    if let Some(eta) = name.strip_prefix(ETA) {
        return match eta.parse::<f64>() {
            Ok(eta) if eta > 0.0 && eta <= 1.0 => Ok(vec![Solver::StochasticDdim { eta }]),
            _ => refuse(format!("eta is {eta}; expected a number over 0 and up to 1")),
        };
    }
    if let Some(ratio) = name.strip_prefix(DC) {
        return match ratio.parse::<f64>() {
            Ok(ratio) if ratio > 0.0 && ratio <= 2.0 => Ok(vec![Solver::DcSolver { ratio }]),
            _ => refuse(format!("ratio is {ratio}; expected a number over 0 and up to 2")),
        };
    }
    let forms: Vec<Solver> = Solver::all().into_iter().filter(|solver| solver.traits().name == name).collect();
    if forms.is_empty() {
        let names: Vec<String> = Method::names().into_iter().map(|known| known.name).collect();
        return refuse(format!("no method '{name}'; expected {}", names.join(", ")));
    }
    Ok(forms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_with_orders_has_a_recommended_one_and_no_other_has() {
        for MethodName { name, orders, recommended, normalises } in Method::names() {
            assert_eq!(recommended, Method::recommended_order(&name));
            assert_eq!(recommended, Method::recommended_order(&(name.clone() + SUFFIX)));
            let Some(orders) = orders else {
                assert_eq!(recommended, None, "{name}");
                continue;
            };
            assert!(recommended.is_some_and(|order| orders.contains(&order)), "{name}");
            assert_eq!(Method::new(&name, None).unwrap(), Method::new(&name, recommended).unwrap());
            for order in orders {
                assert_eq!(Method::new(&name, Some(order)).unwrap().order(), order);
            }
            assert_eq!(Method::new(&(name.clone() + SUFFIX), None).is_ok(), normalises, "{name}");
        }
        assert_eq!(Method::recommended_order("ddim"), None);
        assert_eq!(Method::recommended_order("no-such-method"), None);
    }

    #[test]
    fn every_method_is_under_one_name() {
        let names = Method::names();
        let orders = |name: &MethodName| name.orders.clone().map_or(1, |orders| orders.count());
        assert_eq!(names.iter().map(orders).sum::<usize>(), Solver::all().len());
        for (i, name) in names.iter().enumerate() {
            assert!(names[..i].iter().all(|other| other.name != name.name), "{} is there twice", name.name);
        }
    }
}

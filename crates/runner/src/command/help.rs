//! What `--help` lists besides arguments: methods, grids and schedules, from where they are defined.

use std::fmt::Write;

use clap::Command;
use fewstep_sampler::{Grid, Method, Schedule};

/// The command line with the lists behind it.
pub fn with_lists(command: Command) -> Command {
    let lists = lists();
    command.mut_subcommand("plan", |plan| plan.after_help(lists.clone())).after_help(lists)
}

fn lists() -> String {
    let mut text =
        "Methods, with their orders and the one taken where none is given; -sn behind a name asks for score\n\
                    normalisation, where * stands:\n"
            .to_owned();
    for method in Method::names() {
        let orders = match (&method.orders, method.recommended) {
            (Some(orders), Some(recommended)) => format!("{} to {}, {recommended}", orders.start(), orders.end()),
            _ => String::new(),
        };
        let star = if method.normalises { "*" } else { " " };
        // Writing to a string cannot fail.
        _ = writeln!(text, "  {:<20} {star} {orders}", method.name);
    }
    let (forms, endings) = (Grid::FORMS.join(", "), Grid::ENDINGS.join(" or "));
    let lists = Grid::LISTS.join(", ");
    _ = writeln!(text, "Grids: {forms}; {endings} behind one ends it before 0; {lists}; or a list of times.");
    _ = write!(text, "Schedules: {}.", Schedule::NAMES.join(", "));
    text
}

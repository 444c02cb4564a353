//! The command, as users run it. One program for all its tests: as thirty, linking them took CI minutes.

#[path = "../common/bases.rs"]
mod bases;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/database.rs"]
mod database;
#[path = "../common/disk.rs"]
mod disk;
#[path = "../common/folder.rs"]
mod folder;
#[path = "../common/kills.rs"]
mod kills;

mod bad_checkpoints;
mod bad_input;
mod bad_methods;
mod cautions;
mod curves;
mod documents;
mod edm;
mod estimate;
mod features;
mod findings;
mod fit;
mod importers;
mod keys;
mod killed;
#[cfg(unix)]
mod killed_commands;
mod lsun;
mod plan_command;
mod planned_rows;
mod plans;
mod protocol;
mod read_back;
mod reuse;
mod runs;
mod sampler_error;
mod shards;
#[cfg(unix)]
mod slurm;
mod supply_chain;
mod sweep;
mod take;
#[cfg(unix)]
mod together;

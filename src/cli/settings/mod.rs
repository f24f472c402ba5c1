//! Settings from four places: flag, environment, file, default, in this order.
//!
//! [`serve`] is the one table of options; flags, variables, keys of the file, `--print-config` and the checks all
//! follow from its rows, so none of them can know an option that the others do not. Nothing here starts
//! anything: what the settings mean is the command's business.

mod file;
mod layers;
mod print;
mod read;
mod row;
mod serve;

pub(super) use layers::{Origin, Resolved, Sources};
pub(super) use serve::{LogFormat, ServeSettings};

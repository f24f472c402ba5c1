//! The load test: thousands of clients on one server, what they feel, and what it costs.
//!
//! An open loop: everything a client does is due at a time of its own, and what is measured counts from that time, so a
//! slow server (or a slow load test) makes figures worse and never makes them fewer. From the outside in:
//!
//! - [`conduct`] leads a run: clients come in, the load is held, a search raises it; and puts the report together.
//! - [`Fleet`] has the threads and the clients: a share of them [`whole`], the rest [`light`]; and the [`Sockets`] they speak through.
//! - [`OwnServer`] is a second process to test, on [`Cores`] of its own if need be; [`Probe`] asks a server for its own figures.
//! - the rest is without clock or socket: single measures ([`age`], [`deliveries`], [`awaited`], [`rhythm`], together
//!   [`watch`]), pace (`turns`), books ([`gauges`], [`exposition`]), judgement ([`objective`], [`search`]), and the report as JSON, page
//!   and table ([`report`], [`html`], [`csv`]).

pub mod age;
pub mod agreement;
pub mod awaited;
mod child;
pub mod conduct;
mod cores;
mod crew;
pub mod csv;
pub mod deliveries;
mod drops;
pub mod exposition;
mod fleet;
pub mod gauges;
pub mod html;
pub mod light;
pub mod line;
pub mod machine;
pub mod objective;
mod plot;
mod probe;
pub mod report;
pub mod rhythm;
pub mod search;
mod sockets;
mod turns;
mod wander;
pub mod watch;
pub mod whole;

pub use child::{ChildError, OwnServer, ServerOrder};
pub use cores::{Cores, CoresError};
pub use fleet::{Fleet, FleetConfig, FleetError, Live, Second};
pub use probe::Probe;
pub use sockets::{NotShared, Sockets};

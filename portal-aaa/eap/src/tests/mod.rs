//! Peer and server in one process, with whatever the air does to packets between them.

mod air;
mod between;
mod bounds;
mod fragments;
mod garbage;
mod login;
mod order;
mod refusal;
mod resumption;
mod vectors;
mod world;

pub(crate) use vectors::Vectors;
pub(crate) use world::{VERSIONS, peer_config, server_config};

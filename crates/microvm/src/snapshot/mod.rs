//! A guest that was stopped in the middle of its life, as a folder: to go on from there, later,
//! elsewhere, and as often as one likes.
//!
//! A boot is the same work every time. Who does it once, saves the machine, and lets each new guest
//! begin where that was saved, gets a Linux in the time of a process; that is how services run a
//! function in a microVM for a tenth of a second (Agache et al., *Firecracker*, NSDI 2020).
//!
//! ```text
//!   NAME/state.json   processors, chips, devices, and how to build the machine around them
//!   NAME/memory       all of its memory, with holes where it is zero
//!   NAME/checksum     of state.json, which has those of the memory
//!   NAME/checked      when the memory was last compared with them
//! ```
//!
//! The five questions have their answers already; each is read instead of given: [`chips`],
//! [`memory`], [`cpu`], and [`devices`](crate::devices) which save themselves. A container has a
//! twin of this that isolab does not play: CRIU, which has to collect its state from a whole kernel.
//!
//! # Two guests with one past
//!
//! What a clone remembers, every clone remembers: the random numbers that come next, and what time
//! it was. So a guest is saved where its first process waits for both (`freeze` in `guest::plan`),
//! and each clone is given a seed of its own and the time of day before its command begins
//! ([`devices::freeze`](crate::devices::freeze)). Its clocks that count from the start go on as if
//! it had not been stopped.
//!
//! A guest whose command runs comes to the same point when its launcher asks for that (`Freeze` in
//! `guest::frames`). The kernel's random numbers of each clone are its own from there on; those that
//! a program has made and keeps, it keeps in every clone. On several processors another program may
//! run for the moment that the first process takes to hand over seed and time.
//!
//! # What it is not
//!
//! The folder holds all that the guest had in memory, keys among it: only its owner may read it. It
//! must stay as it is while a clone runs (`memory` can only be read, so only force changes it):
//! clones read it when they come to it. So it is refused where anybody but its user and root could
//! change it. Checksums find damage, not malice; a forged snapshot is a hostile guest, and is trusted
//! as little as one: where it was not saved, or of a guest that was running, it names no disks
//! ([`Snapshot::is_original`]).

pub mod chips;
pub mod cpu;
mod error;
mod folder;
pub mod host;
mod incoming;
mod mark;
pub mod memory;
mod owner;
mod plain;
mod store;
mod unfinished;

pub use error::SnapshotError;
pub use folder::{Snapshot, State};
pub use incoming::{Captured, Incoming};
pub use plain::Plain;
pub use store::{Listed, SnapshotStore};
pub use unfinished::{Author, Unfinished};

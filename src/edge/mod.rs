//! What touches the world, as narrow traits: the rest of the program is told the time, the ids and
//! the answers, so that tests and the fault harness can hand in their own.

pub mod background;
pub mod clock;
pub mod fault;
pub mod http;
pub mod process;
pub mod random;
pub mod serve;
pub mod shutdown;
pub mod supervise;

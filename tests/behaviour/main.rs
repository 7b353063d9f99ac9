//! Behaviour tests: through public doors only (HTTP, CLI, config). One binary, so that it links once.

mod sandbox;

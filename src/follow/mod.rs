//! Loop 4: what happens in the org of itself. [`drift`] watches what its objects are made of.

pub mod drift;
